package inject

import (
	"jupyter-user.io/jupyter-user-webhook/webhook/answer"
	"jupyter-user.io/jupyter-user-webhook/webhook/config"
	"jupyter-user.io/jupyter-user-webhook/webhook/identity"
)

// chooseWay picks the way to the identity, says why, and what stands against it.
func (in *planning) chooseWay() (way config.Way, why string, refusals []answer.Answer) {
	name := in.User.String()
	configured := in.config.Identity.Way
	if in.Identity == nil || configured == config.WayAtStart {
		why = answer.WayUnknown
		if configured == config.WayAtStart {
			why = answer.WayConfigured
		}
		switch {
		case configured == config.WayAtAdmission:
			return config.WayAtAdmission, answer.WayConfigured, []answer.Answer{answer.IdentityUnknown(name)}
		case in.Restricted:
			return config.WayAtStart, why, []answer.Answer{answer.RestrictedNeedsIdentity(in.Namespace, name)}
		}
		in.Identity = nil
		return config.WayAtStart, why, nil
	}
	why = answer.WayKnown
	if in.Restricted {
		why = answer.WayKnownRestricted
	}
	if err := floor(in.config.Identity).Check(*in.Identity); err != nil {
		return config.WayAtAdmission, why, []answer.Answer{answer.IdentityRefused(name, err)}
	}
	in.limited = LimitGroups(in.config.Identity, in.User, *in.Identity)
	in.Identity = &in.limited.Identity
	return config.WayAtAdmission, why, in.limited.Refusals
}

func floor(c config.Identity) identity.Floor {
	return identity.Floor{MinUID: c.MinUID, MinGID: c.MinGID, RefusedGIDs: c.RefusedGIDs}
}
