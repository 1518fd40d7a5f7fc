package inject

import (
	"jupyter-user.io/jupyter-user-webhook/webhook/config"
	"jupyter-user.io/jupyter-user-webhook/webhook/denial"
	"jupyter-user.io/jupyter-user-webhook/webhook/identity"
)

// chooseDiscovery picks the way to the identity, says why, and what stands against it.
func (in *planning) chooseDiscovery() (discovery config.Discovery, why string, refusals []denial.Denial) {
	name := in.User.String()
	configured := in.config.Identity.Discovery
	if in.Identity == nil || configured == config.DiscoveryAtStart {
		why = denial.DiscoveryUnknown
		if configured == config.DiscoveryAtStart {
			why = denial.DiscoveryConfigured
		}
		switch {
		case configured == config.DiscoveryAtAdmission:
			return config.DiscoveryAtAdmission, denial.DiscoveryConfigured, []denial.Denial{denial.IdentityUnknown(name)}
		case in.Restricted:
			return config.DiscoveryAtStart, why, []denial.Denial{denial.RestrictedNeedsIdentity(in.Namespace, name)}
		}
		in.Identity = nil
		return config.DiscoveryAtStart, why, nil
	}
	why = denial.DiscoveryKnown
	if in.Restricted {
		why = denial.DiscoveryKnownRestricted
	}
	limited := LimitGroups(in.config.Identity, in.User, *in.Identity)
	if err := floor(in.config.Identity).Check(limited.Identity); err != nil {
		return config.DiscoveryAtAdmission, why, []denial.Denial{denial.IdentityDenied(name, err)}
	}
	in.limited = limited
	in.Identity = &in.limited.Identity
	return config.DiscoveryAtAdmission, why, in.limited.Denials
}

func floor(c config.Identity) identity.Floor {
	return identity.Floor{MinUID: c.MinUID, MinGID: c.MinGID, DeniedGIDs: c.DeniedGIDs}
}
