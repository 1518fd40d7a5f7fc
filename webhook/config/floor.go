package config

import "jupyter-user.io/jupyter-user-webhook/webhook/identity"

// Floor returns the limits of a user's identity.
func (i Identity) Floor() identity.Floor {
	return identity.Floor{MinUID: i.MinUID, MinGID: i.MinGID, DeniedGIDs: i.DeniedGIDs}
}
