package inject

import (
	"jupyter-user.io/jupyter-user-webhook/webhook/config"
	"jupyter-user.io/jupyter-user-webhook/webhook/denial"
	"jupyter-user.io/jupyter-user-webhook/webhook/identity"
)

// chooseWay picks the way to the identity, says why, and what stands against it.
func (in *planning) chooseWay() (way config.Way, why string, refusals []denial.Denial) {
	name := in.User.String()
	configured := in.config.Identity.Way
	if in.Identity == nil || configured == config.WayAtStart {
		why = denial.WayUnknown
		if configured == config.WayAtStart {
			why = denial.WayConfigured
		}
		switch {
		case configured == config.WayAtAdmission:
			return config.WayAtAdmission, denial.WayConfigured, []denial.Denial{denial.IdentityUnknown(name)}
		case in.Restricted:
			return config.WayAtStart, why, []denial.Denial{denial.RestrictedNeedsIdentity(in.Namespace, name)}
		}
		in.Identity = nil
		return config.WayAtStart, why, nil
	}
	why = denial.WayKnown
	if in.Restricted {
		why = denial.WayKnownRestricted
	}
	limited := LimitGroups(in.config.Identity, in.User, *in.Identity)
	if err := floor(in.config.Identity).Check(limited.Identity); err != nil {
		return config.WayAtAdmission, why, []denial.Denial{denial.IdentityRefused(name, err)}
	}
	in.limited = limited
	in.Identity = &in.limited.Identity
	return config.WayAtAdmission, why, in.limited.Refusals
}

func floor(c config.Identity) identity.Floor {
	return identity.Floor{MinUID: c.MinUID, MinGID: c.MinGID, RefusedGIDs: c.RefusedGIDs}
}
