package config

import "jupyter-user.io/jupyter-user-webhook/webhook/identity"

// Floor returns the lowest UID and GID that a user can have, and the denied GIDs.
func (i Identity) Floor() identity.Floor {
	return identity.Floor{MinUID: i.MinUID, MinGID: i.MinGID, DeniedGIDs: i.DeniedGIDs}
}
