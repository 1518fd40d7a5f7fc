package inject

import (
	"slices"
	"strings"

	"jupyter-user.io/jupyter-user-webhook/webhook/config"
	"jupyter-user.io/jupyter-user-webhook/webhook/denial"
	"jupyter-user.io/jupyter-user-webhook/webhook/identity"
	"jupyter-user.io/jupyter-user-webhook/webhook/pod"
	"jupyter-user.io/jupyter-user-webhook/webhook/user"
)

// Groups: the supplementary groups, which Kubernetes has for the whole pod alone.
//
// Sets supplementalGroups to the person's, where they are known at admission; a group in it that is not known to be the
// person's is refused, in the way at start that is any. Sets supplementalGroupsPolicy to Strict, so that the image's
// /etc/group adds none. Takes fsGroup off, because a CSI driver would re-group the whole share by it, and warns of
// each other volume that it served. All three fields are ours; the rest of the pod's security context is the pod's.

type groupsPiece struct {
	user string
	// groups are the supplementary ones; the primary one need not be said again, where there is one.
	groups  []int64
	primary int64
	strict  bool
	ours    ourVolumes
}

const policyStrict = "Strict"

func (in *planning) planGroups() groupsPiece {
	p := groupsPiece{
		user:   in.facts.User.String(),
		strict: in.planner.config.Identity.StrictSupplementalGroups,
		ours:   in.ourVolumes(),
	}
	if in.identity != nil {
		p.groups = in.identity.Groups
		p.primary = in.identity.GID
	}
	return p
}

func (p groupsPiece) reconcile(document *pod.Pod, c *changes) {
	at := pod.SecurityContextPath
	have, exists := document.Spec.SecurityContext, document.Spec.SecurityContext != nil
	if !exists {
		have = &pod.SpecSecurityContext{}
	}

	groups := member{at, exists, "supplementalGroups"}
	foreign := false
	for i, gid := range have.SupplementalGroups {
		if known := p.primary != 0 && gid == p.primary || slices.Contains(p.groups, gid); !known {
			c.deny(denial.GroupForeign(groups.at().Index(i).Field(), gid, p.user))
			foreign = true
		}
	}
	if !foreign {
		putList(c, ours, groups, have.SupplementalGroups, p.groups)
	}
	if p.strict {
		putField(c, ours, member{at, exists, "supplementalGroupsPolicy"}, have.SupplementalGroupsPolicy, policyStrict)
	}
	if have.FSGroup != nil {
		c.removeField(member{at, exists, "fsGroup"}, true)
		if served := p.served(document); len(served) > 0 {
			c.warn(denial.FSGroupTaken(*have.FSGroup, served))
		}
	}
}

// served are the volumes of the pod's own that an fsGroup has an effect on. Kubernetes leaves hostPath and in-tree nfs
// alone, and the token that the ServiceAccount plugin mounts is readable to everyone in the container without it.
func (p groupsPiece) served(pod *pod.Pod) (names []string) {
	for _, v := range pod.Spec.Volumes {
		token := v.Projected != nil && strings.HasPrefix(v.Name, "kube-api-access-")
		if !p.ours.has(v.Name) && v.HostPath == nil && v.NFS == nil && !token {
			names = append(names, v.Name)
		}
	}
	return names
}

// Limited is an identity with no more groups than a pod may have, or why no pod can run as it.
type Limited struct {
	Identity identity.Identity
	Warnings []string
	Denials  []denial.Denial
}

// LimitGroups holds an identity to identity.maxGroups: it is as it was, or cut to the groups with the lowest numbers and
// a warning, or refused. The planner and the verifier both ask here, so that they mean the same identity.
//
// One that is under the floor stays as it was: a refused group is not to go unseen because it was cut off.
func LimitGroups(c config.Identity, name user.Name, id identity.Identity) Limited {
	switch {
	case len(id.Groups) <= c.MaxGroups || floor(c).Check(id) != nil:
		return Limited{Identity: id}
	case c.TooManyGroups == config.TooManyGroupsCut:
		return Limited{
			Identity: id.WithGroups(c.MaxGroups),
			Warnings: []string{denial.GroupsCut(name.String(), c.MaxGroups)},
		}
	}
	return Limited{Identity: id, Denials: []denial.Denial{denial.TooManyGroups(name.String(), c.MaxGroups)}}
}
