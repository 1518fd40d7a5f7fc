package inject

import (
	"slices"

	"jupyter-user.io/jupyter-user-webhook/webhook/config"
	"jupyter-user.io/jupyter-user-webhook/webhook/denial"
	"jupyter-user.io/jupyter-user-webhook/webhook/identity"
	"jupyter-user.io/jupyter-user-webhook/webhook/pod"
	"jupyter-user.io/jupyter-user-webhook/webhook/user"
)

// Groups: the supplementary groups, which Kubernetes has only for the whole Pod.
//
//	group                                          in supplementalGroups
//	of the user                                    added, also if the Pod does not ask for it
//	the user's GID                                 left out: it is the primary group
//	of the user, but left out by Limit             not added, with a warning
//	of identity.imageGroups                        kept, if the notebook container sees only the home, up to identity.maxGroups
//	any other                                      denied; with discovery at start, every group is denied
//
// Sets supplementalGroupsPolicy to Strict, if identity.strictSupplementalGroups is true, so that the image's /etc/group
// adds no groups. Removes fsGroup, because a CSI driver can give this group to the whole share. A warning names the volumes
// with claims of the Pod's own, to which the fsGroup then no longer applies.
//
// share.fsGroup: Keep is for a share whose driver ignores fsGroup. With Keep and discovery at admission, an fsGroup stays
// if it is the user's GID or one of the user's groups. Any other fsGroup is then denied, because the kubelet gives the
// fsGroup to every process.
//
// These three fields, supplementalGroups, supplementalGroupsPolicy and fsGroup, are ours; the rest of the Pod's security
// context is the Pod's.

type groupsPiece struct {
	user string
	// groups are the supplementary groups, without the primary one.
	groups  []int64
	primary int64
	// image are the groups for which a Pod may ask (identity.imageGroups). noImage is the reason why this Pod cannot have
	// these groups; empty if it can.
	image     []int64
	noImage   string
	maxGroups int
	// known reports whether the user's identity is known at admission. Otherwise the Pod gets no supplementary groups.
	known bool
	// minGID is the lowest GID that a user's group can have.
	minGID int64
	// strict reports whether supplementalGroupsPolicy is set to Strict.
	strict bool
	// keepsFSGroup reports whether the Pod may keep an fsGroup that is the user's GID or one of the user's groups.
	keepsFSGroup bool
	ours         ourVolumes
	// deniedVolumes are the names of the volumes with which the Pod itself mounts one of our claims (otherShareVolumes). The
	// Pod is denied for them, so the warning about fsGroup does not name them.
	deniedVolumes []string
}

const policyStrict = "Strict"

func (in *planning) planGroups() groupsPiece {
	p := groupsPiece{
		user:          in.facts.User.String(),
		strict:        in.planner.config.Identity.StrictSupplementalGroups,
		ours:          in.ourVolumes(),
		deniedVolumes: in.deniedVolumes,
	}
	p.known = in.identity != nil
	if p.known {
		p.image = in.planner.config.Identity.ImageGroups
		p.groups = in.identity.Groups
		p.primary = in.identity.GID
		p.keepsFSGroup = in.discovery == config.DiscoveryAtAdmission && in.planner.config.Share.FSGroup == config.FSGroupKeep
		p.minGID, p.maxGroups = in.planner.config.Identity.MinGID, in.planner.config.Identity.MaxGroups
		if in.seesMoreThanHome() {
			p.noImage = denial.NoImageGroupWithShare
		}
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
	want, foreign := p.wanted(groups.at(), have.SupplementalGroups)
	for _, denied := range foreign {
		c.deny(denied)
	}
	if len(foreign) == 0 {
		putList(c, groups, have.SupplementalGroups, want)
	}
	if p.strict {
		putField(c, ours, member{at, exists, "supplementalGroupsPolicy"}, have.SupplementalGroupsPolicy, policyStrict)
	}
	if have.FSGroup != nil {
		p.reconcileFSGroup(member{at, exists, "fsGroup"}, *have.FSGroup, document, c)
	}
}

func (p groupsPiece) reconcileFSGroup(field member, gid int64, document *pod.Pod, c *changes) {
	switch {
	case !p.keepsFSGroup:
		c.removeField(field, true)
		if served := p.fsGroupVolumes(document); len(served) > 0 {
			c.warn(denial.FSGroupRemoved(gid, served))
		}
	case gid == p.primary || slices.Contains(p.groups, gid):
		c.recordKept(field)
	default:
		c.deny(denial.GroupForeign(field.at().Field(), gid, p.user))
	}
}

// wanted returns the groups that the Pod gets: the user's, and then those of identity.imageGroups that the Pod asks for.
// It also returns the denials of the groups that the Pod cannot have.
func (p groupsPiece) wanted(at pod.Pointer, have []int64) (want []int64, foreign []denial.Denial) {
	want = slices.Clip(p.groups)
	for i, gid := range have {
		if len(foreign) >= maxDenials {
			break
		}
		field := at.Index(i).Field()
		switch {
		case !p.known:
			foreign = append(foreign, denial.NoGroupAtStart(field, gid))
		case gid == p.primary || slices.Contains(want, gid):
		case !slices.Contains(p.image, gid) && p.noImage == "" && 0 < gid && gid < p.minGID:
			foreign = append(foreign, denial.SystemGroupForeign(field, gid, p.user))
		case !slices.Contains(p.image, gid):
			foreign = append(foreign, denial.GroupForeign(field, gid, p.user))
		case p.noImage != "":
			foreign = append(foreign, denial.ImageGroupForeign(field, gid, p.noImage))
		case len(want) >= p.maxGroups:
			foreign = append(foreign, denial.ImageGroupForeign(field, gid, denial.NoFurtherGroup(p.user, p.maxGroups)))
		default:
			want = append(want, gid)
		}
	}
	return want, foreign
}

// fsGroupVolumes returns the names of the volumes to which the user can perhaps not write without the fsGroup: the volumes
// with claims of the Pod's own, also ephemeral claims, and the inline CSI volumes that are not read-only. Other volumes need no
// warning: every UID can write to an emptyDir and read a Secret, a ConfigMap or a token, and Kubernetes does not apply an
// fsGroup to hostPath and in-tree nfs.
func (p groupsPiece) fsGroupVolumes(pod *pod.Pod) (names []string) {
	for _, v := range pod.Spec.Volumes {
		served := v.PersistentVolumeClaim != nil || v.Ephemeral != nil || v.CSI != nil && !v.CSI.ReadOnly
		if served && !p.ours.has(v.Name) && !slices.Contains(p.deniedVolumes, v.Name) {
			names = append(names, v.Name)
		}
	}
	return names
}

// Limited is the result of Limit: the identity that a user's Pod gets, with warnings about groups that are left out, or denials.
type Limited struct {
	Identity identity.Identity
	Warnings []string
	Denials  []denial.Denial
}

// Limit returns the identity that a user's Pod gets. Supplementary groups that no Pod can have, such as those below
// identity.minGID, are left out with a warning. An identity below the floor, or with a group of identity.deniedGIDs, is denied.
// If more than identity.maxGroups groups remain, either only those with the lowest numbers stay, with a warning, or the Pod is
// denied (identity.tooManyGroups). The groups are cut last, so that cutting does not hide a denied group.
//
// Planner.Plan, Webhook.Verify and the command "check ldap" all call Limit, so that they use the same identity.
func Limit(c config.Identity, name user.Name, id identity.Identity) Limited {
	within := c.Floor().LeaveOut(id)
	limited := Limited{Identity: within}
	if len(within.Groups) < len(id.Groups) {
		limited.Warnings = append(limited.Warnings, denial.GroupsLeftOut(name.String(), c.MinGID))
	}
	denied := c.Floor().Check(within)
	switch {
	case denied != nil:
		limited.Denials = []denial.Denial{denial.IdentityDenied(name.String(), denied)}
	case len(within.Groups) <= c.MaxGroups:
	case c.TooManyGroups == config.TooManyGroupsCut:
		limited.Identity = within.WithGroups(c.MaxGroups)
		limited.Warnings = append(limited.Warnings, denial.GroupsCut(name.String(), c.MaxGroups))
	default:
		limited.Denials = []denial.Denial{denial.TooManyGroups(name.String(), c.MaxGroups)}
	}
	return limited
}
