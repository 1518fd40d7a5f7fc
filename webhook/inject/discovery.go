package inject

import (
	"jupyter-user.io/jupyter-user-webhook/webhook/config"
	"jupyter-user.io/jupyter-user-webhook/webhook/denial"
)

// chooseDiscovery returns the discovery, the reason for this choice, and denials. With discovery at start it sets in.identity
// to nil. With discovery at admission in.identity is the identity with which the Pod runs, if there are no denials.
func (in *planning) chooseDiscovery() (discovery config.Discovery, why string, denials []denial.Denial) {
	name := in.facts.User.String()
	configured := in.planner.config.Identity.Discovery
	if in.identity == nil || configured == config.DiscoveryAtStart {
		in.identity = nil
		why = denial.DiscoveryUnknown
		if configured == config.DiscoveryAtStart {
			why = denial.DiscoveryConfigured
		}
		switch {
		case configured == config.DiscoveryAtAdmission:
			return config.DiscoveryAtAdmission, denial.DiscoveryConfigured, []denial.Denial{denial.IdentityUnknown(name)}
		case in.planner.config.Share.HomesByField():
			return config.DiscoveryAtAdmission, denial.DiscoveryHome, []denial.Denial{denial.IdentityUnknown(name)}
		case in.facts.SourcesQueried:
			return config.DiscoveryAtAdmission, denial.DiscoveryUserUnknown, []denial.Denial{denial.IdentityUnknown(name)}
		case in.facts.Restricted:
			return config.DiscoveryAtStart, why, []denial.Denial{denial.RestrictedNeedsIdentity(in.facts.Namespace, name)}
		}
		return config.DiscoveryAtStart, why, nil
	}
	why = denial.DiscoveryKnown
	if in.facts.Restricted {
		why = denial.DiscoveryKnownRestricted
	}
	in.limited = Limit(in.planner.config.Identity, in.facts.User, *in.identity)
	in.identity = &in.limited.Identity
	return config.DiscoveryAtAdmission, why, in.limited.Denials
}
