// Package pod has the view of a Pod that the planner (package inject) reads, JSON pointers into a Pod, and functions that
// write and apply the operations that change a Pod. It reads and writes JSON and knows no rule about notebooks.
package pod

import (
	"cmp"
	"errors"
	"fmt"
	"reflect"
	"slices"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// Pod is the planner's view of a Pod: the fields that the planner reads, and large fields that are skipped (type skipped).
// All other fields of a Pod stay unchanged, because the webhook returns a patch of single fields, not a new Pod.
//
// The fields have the JSON names and the kinds of types of k8s.io/api/core/v1 (TestViewMatchesKubernetesAPI compares them).
// For the planner, as for the API server, an absent list or map equals an empty one.
type Pod struct {
	APIVersion string   `json:"apiVersion"`
	Kind       string   `json:"kind"`
	Metadata   Metadata `json:"metadata"`
	Spec       Spec     `json:"spec"`
	Status     skipped  `json:"status"`
}

// Metadata has the labels and annotations of a Pod. The webhook takes the namespace from the request.
type Metadata struct {
	Labels      map[string]string `json:"labels"`
	Annotations map[string]string `json:"annotations"`

	ManagedFields skipped `json:"managedFields"`
}

// Spec has the fields of a Pod's spec that the planner reads, and large fields that are skipped.
type Spec struct {
	Volumes             List[Volume]         `json:"volumes"`
	InitContainers      List[Container]      `json:"initContainers"`
	Containers          List[Container]      `json:"containers"`
	EphemeralContainers List[Container]      `json:"ephemeralContainers"`
	SecurityContext     *SpecSecurityContext `json:"securityContext"`
	ImagePullSecrets    List[LocalReference] `json:"imagePullSecrets"`
	Resources           *Resources           `json:"resources"`
	OS                  *OS                  `json:"os"`
	HostUsers           *bool                `json:"hostUsers"`

	Affinity    skipped `json:"affinity"`
	Tolerations skipped `json:"tolerations"`
}

// OS is the operating system of a Pod.
type OS struct {
	Name string `json:"name"`
}

// LocalReference names an object in the Pod's namespace.
type LocalReference struct {
	Name string `json:"name"`
}

// SpecSecurityContext is the security context of a Pod as a whole. RunAsUser, RunAsGroup and RunAsNonRoot apply to each
// container that does not set these fields itself.
type SpecSecurityContext struct {
	RunAsUser                *int64      `json:"runAsUser"`
	RunAsGroup               *int64      `json:"runAsGroup"`
	RunAsNonRoot             *bool       `json:"runAsNonRoot"`
	SupplementalGroups       List[int64] `json:"supplementalGroups"`
	SupplementalGroupsPolicy *string     `json:"supplementalGroupsPolicy"`
	FSGroup                  *int64      `json:"fsGroup"`

	WindowsOptions *WindowsOptions `json:"windowsOptions"`
}

// Volume is a volume, with the sources that the planner reads.
type Volume struct {
	Name                  string    `json:"name"`
	PersistentVolumeClaim *Claim    `json:"persistentVolumeClaim,omitzero"`
	EmptyDir              *EmptyDir `json:"emptyDir,omitzero"`
	HostPath              *struct{} `json:"hostPath,omitzero"`
	NFS                   *struct{} `json:"nfs,omitzero"`
	Ephemeral             *struct{} `json:"ephemeral,omitzero"`
	CSI                   *CSI      `json:"csi,omitzero"`
}

// Claim is a volume source that names a PersistentVolumeClaim.
type Claim struct {
	ClaimName string `json:"claimName"`
	ReadOnly  bool   `json:"readOnly,omitzero"`
}

// CSI is a volume source: an inline volume of a CSI driver.
type CSI struct {
	ReadOnly bool `json:"readOnly,omitzero"`
}

// EmptyDir is a volume source: a directory that is empty at first and is deleted with the Pod.
type EmptyDir struct {
	Medium    *string         `json:"medium,omitzero"`
	SizeLimit *jsontext.Value `json:"sizeLimit,omitzero"`
}

// Container is an init container, a container or an ephemeral container of a Pod.
type Container struct {
	Name                     string           `json:"name"`
	Image                    *string          `json:"image"`
	ImagePullPolicy          *string          `json:"imagePullPolicy"`
	Command                  List[string]     `json:"command"`
	Args                     List[string]     `json:"args"`
	WorkingDir               *string          `json:"workingDir"`
	Ports                    List[Port]       `json:"ports"`
	EnvFrom                  List[struct{}]   `json:"envFrom"`
	Env                      List[EnvVar]     `json:"env"`
	Resources                *Resources       `json:"resources"`
	RestartPolicy            *string          `json:"restartPolicy"`
	RestartPolicyRules       List[struct{}]   `json:"restartPolicyRules"`
	VolumeMounts             List[Mount]      `json:"volumeMounts"`
	VolumeDevices            List[Device]     `json:"volumeDevices"`
	StartupProbe             *Probe           `json:"startupProbe"`
	ReadinessProbe           *Probe           `json:"readinessProbe"`
	LivenessProbe            *Probe           `json:"livenessProbe"`
	Lifecycle                *Lifecycle       `json:"lifecycle"`
	TerminationMessagePath   *string          `json:"terminationMessagePath"`
	TerminationMessagePolicy *string          `json:"terminationMessagePolicy"`
	SecurityContext          *SecurityContext `json:"securityContext"`
	Stdin                    bool             `json:"stdin"`
	TTY                      bool             `json:"tty"`
}

// Mounts reports whether the container mounts a volume.
func (c *Container) Mounts(volume string) bool {
	return slices.ContainsFunc(c.VolumeMounts, func(m Mount) bool { return m.Name == volume })
}

// Port is a port that a container declares.
type Port struct {
	Name          string `json:"name,omitzero"`
	ContainerPort int32  `json:"containerPort"`
	Protocol      string `json:"protocol,omitzero"`
}

// EnvVar is an environment variable of a container.
type EnvVar struct {
	Name      string     `json:"name"`
	Value     string     `json:"value,omitzero"`
	ValueFrom *ValueFrom `json:"valueFrom,omitzero"`
}

// ValueFrom is the source of a variable's value. The planner reads only one kind of source, a file of a volume.
type ValueFrom struct {
	FileKeyRef FileKeyRef `json:"fileKeyRef,omitzero"`
}

// FileKeyRef names the volume with the file from which the kubelet reads the variable's value.
type FileKeyRef struct {
	VolumeName string `json:"volumeName"`
}

// Resources are the requests, limits and claims of a container, or of a Pod as a whole.
type Resources struct {
	Requests Quantities     `json:"requests,omitempty"`
	Limits   Quantities     `json:"limits,omitempty"`
	Claims   List[struct{}] `json:"claims,omitempty"`
}

// Empty reports whether r has neither requests nor limits nor claims.
func (r *Resources) Empty() bool {
	return r == nil || len(r.Requests)+len(r.Limits)+len(r.Claims) == 0
}

// Mount is a mount of a volume in a container.
type Mount struct {
	Name              string `json:"name"`
	ReadOnly          bool   `json:"readOnly,omitzero"`
	RecursiveReadOnly string `json:"recursiveReadOnly,omitzero"`
	MountPath         string `json:"mountPath"`
	SubPath           string `json:"subPath,omitzero"`
	SubPathExpr       string `json:"subPathExpr,omitzero"`
	MountPropagation  string `json:"mountPropagation,omitzero"`
}

// Device is a volume that a container gets as a block device.
type Device struct {
	Name       string `json:"name"`
	DevicePath string `json:"devicePath"`
}

// Probe is a probe or a lifecycle hook of a container. The planner reads only its command.
type Probe struct {
	Exec *Exec `json:"exec"`
}

// Lifecycle has the two lifecycle hooks of a container.
type Lifecycle struct {
	PostStart *Probe `json:"postStart"`
	PreStop   *Probe `json:"preStop"`
}

// Exec has the command that a hook or a probe runs in the container.
type Exec struct {
	Command List[string] `json:"command"`
}

// SecurityContext has the fields of a container's security context that the planner reads or writes.
type SecurityContext struct {
	AppArmorProfile          *Profile        `json:"appArmorProfile,omitzero"`
	SELinuxOptions           *SELinuxOptions `json:"seLinuxOptions,omitzero"`
	WindowsOptions           *WindowsOptions `json:"windowsOptions,omitzero"`
	RunAsUser                *int64          `json:"runAsUser,omitzero"`
	RunAsGroup               *int64          `json:"runAsGroup,omitzero"`
	RunAsNonRoot             *bool           `json:"runAsNonRoot,omitzero"`
	Privileged               *bool           `json:"privileged,omitzero"`
	AllowPrivilegeEscalation *bool           `json:"allowPrivilegeEscalation,omitzero"`
	ReadOnlyRootFilesystem   *bool           `json:"readOnlyRootFilesystem,omitzero"`
	Capabilities             *Capabilities   `json:"capabilities,omitzero"`
	SeccompProfile           *Profile        `json:"seccompProfile,omitzero"`
	ProcMount                *string         `json:"procMount,omitzero"`
}

// SELinuxOptions are the SELinux options of a container, without the level, for which every value is accepted.
type SELinuxOptions struct {
	User string `json:"user,omitempty"`
	Role string `json:"role,omitempty"`
	Type string `json:"type,omitempty"`
}

// WindowsOptions has the one Windows option of a container or of a Pod that the planner reads.
type WindowsOptions struct {
	HostProcess *bool `json:"hostProcess,omitempty"`
}

// Capabilities are the Linux capabilities that a container adds to the runtime's default ones, or drops.
type Capabilities struct {
	Add  List[string] `json:"add,omitempty"`
	Drop List[string] `json:"drop,omitempty"`
}

// Profile selects a seccomp profile or an AppArmor profile. LocalhostProfile is the name of a profile on the node.
type Profile struct {
	Type             string  `json:"type"`
	LocalhostProfile *string `json:"localhostProfile,omitzero"`
}

// Read decodes a Pod and calls its method Check. Keys are case-sensitive, and a duplicate key is an error: encoding/json
// would read SPEC as spec and use the last of two duplicates, but other readers of the Pod might not.
func Read(raw []byte) (*Pod, error) {
	if len(raw) == 0 || string(raw) == "null" {
		return nil, errors.New("it is missing")
	}
	pod := &Pod{}
	if err := Unmarshal(raw, pod); err != nil {
		return nil, Unreadable(err)
	}
	return pod, pod.Check()
}

// Unmarshal decodes a Pod, or a review with a Pod. It returns an error for a list or a map that exceeds its limit (list.go).
func Unmarshal(raw []byte, into any) error {
	if err := checkKeyCount(raw); err != nil {
		return err
	}
	return json.Unmarshal(raw, into)
}

// Check returns an error if the decoded object is not a Pod, or if one of its containers has no name.
func (p *Pod) Check() error {
	if p.APIVersion != "v1" || p.Kind != "Pod" {
		return fmt.Errorf("it has apiVersion %q and kind %q", p.APIVersion, p.Kind)
	}
	for at, container := range p.AllContainers {
		// A container that is null has no name either.
		if container.Name == "" {
			return fmt.Errorf("%s has no name", at.Pointer().Field())
		}
	}
	return nil
}

// AllContainers yields the init containers, the containers and the ephemeral containers, each with its position in the Pod.
func (p *Pod) AllContainers(yield func(at Element, c *Container) bool) {
	for _, kind := range []struct {
		list       Pointer
		containers []Container
	}{
		{InitContainersPath, p.Spec.InitContainers},
		{ContainersPath, p.Spec.Containers},
		{EphemeralContainersPath, p.Spec.EphemeralContainers},
	} {
		for i := range kind.containers {
			if !yield(Element{kind.list, i}, &kind.containers[i]) {
				return
			}
		}
	}
}

// Unreadable shortens the decoder's error. For a duplicate field or a value of a wrong type the result names the field. It
// never contains a value of the wrong type, only the kind of that value.
func Unreadable(err error) error {
	if tooLong, ok := errors.AsType[*TooLongError](err); ok {
		return tooLong
	}
	if syntactic, ok := errors.AsType[*jsontext.SyntacticError](err); ok {
		if errors.Is(err, jsontext.ErrDuplicateName) {
			return fmt.Errorf("duplicate field %q", Pointer(syntactic.JSONPointer).Field())
		}
		return syntactic.Err
	}
	if semantic, ok := errors.AsType[*json.SemanticError](err); ok {
		at := cmp.Or(Pointer(semantic.JSONPointer).Field(), "the document")
		return fmt.Errorf("%s has a %s where it needs a %s", at, jsonKind(semantic.JSONKind), jsonType(semantic.GoType))
	}
	return err
}

func jsonKind(kind jsontext.Kind) string {
	switch kind {
	case jsontext.KindBeginArray:
		return "list"
	case jsontext.KindBeginObject:
		return "map"
	case jsontext.KindTrue, jsontext.KindFalse:
		return "bool"
	}
	return kind.String()
}

func jsonType(t reflect.Type) string {
	switch t.Kind() {
	case reflect.Pointer:
		return jsonType(t.Elem())
	case reflect.Slice:
		return "list"
	case reflect.Struct, reflect.Map:
		return "map"
	case reflect.Int32, reflect.Int64:
		return "whole number"
	}
	return t.Kind().String()
}
