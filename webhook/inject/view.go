package inject

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"

	kjson "sigs.k8s.io/json"
)

// Pod is the view that the planner has of a pod: the fields that it reads, and nothing else. Whatever a pod has beyond
// them passes by untouched, because the answer is a patch of single fields and never the pod written anew.
//
// Field names and types are those of k8s.io/api/core/v1; a test holds them against each other. An absent field and an
// empty list or map are the same to the planner, as they are to the API server.
type Pod struct {
	APIVersion string   `json:"apiVersion"`
	Kind       string   `json:"kind"`
	Metadata   Metadata `json:"metadata"`
	Spec       Spec     `json:"spec"`
}

// Metadata of a pod. There is no namespace in it: at admission that is the request's.
type Metadata struct {
	Labels      map[string]string `json:"labels"`
	Annotations map[string]string `json:"annotations"`
}

// Spec of a pod.
type Spec struct {
	Volumes             []Volume            `json:"volumes"`
	InitContainers      []Container         `json:"initContainers"`
	Containers          []Container         `json:"containers"`
	EphemeralContainers []Container         `json:"ephemeralContainers"`
	SecurityContext     *PodSecurityContext `json:"securityContext"`
	ImagePullSecrets    []LocalReference    `json:"imagePullSecrets"`
	Resources           *Resources          `json:"resources"`
	OS                  *OS                 `json:"os"`
	HostUsers           *bool               `json:"hostUsers"`
}

// OS of a pod.
type OS struct {
	Name string `json:"name"`
}

// LocalReference names something in the pod's namespace.
type LocalReference struct {
	Name string `json:"name"`
}

// PodSecurityContext is what the groups are in.
type PodSecurityContext struct {
	SupplementalGroups       []int64 `json:"supplementalGroups"`
	SupplementalGroupsPolicy *string `json:"supplementalGroupsPolicy"`
	FSGroup                  *int64  `json:"fsGroup"`
}

// Volume and the sources that matter here.
type Volume struct {
	Name                  string    `json:"name"`
	PersistentVolumeClaim *Claim    `json:"persistentVolumeClaim,omitempty"`
	EmptyDir              *EmptyDir `json:"emptyDir,omitempty"`
	Projected             *struct{} `json:"projected,omitempty"`
	HostPath              *struct{} `json:"hostPath,omitempty"`
	NFS                   *struct{} `json:"nfs,omitempty"`
}

// Claim is a PersistentVolumeClaim as a volume.
type Claim struct {
	ClaimName string `json:"claimName"`
	ReadOnly  bool   `json:"readOnly,omitempty"`
}

// EmptyDir as a volume.
type EmptyDir struct {
	Medium    *string          `json:"medium,omitempty"`
	SizeLimit *json.RawMessage `json:"sizeLimit,omitempty"`
}

// Container of any of the three kinds.
type Container struct {
	Name                     string           `json:"name"`
	Image                    *string          `json:"image,omitempty"`
	ImagePullPolicy          *string          `json:"imagePullPolicy,omitempty"`
	Command                  []string         `json:"command,omitempty"`
	Args                     []string         `json:"args,omitempty"`
	WorkingDir               *string          `json:"workingDir,omitempty"`
	Ports                    []Port           `json:"ports,omitempty"`
	EnvFrom                  []struct{}       `json:"envFrom,omitempty"`
	Env                      []EnvVar         `json:"env,omitempty"`
	Resources                *Resources       `json:"resources,omitempty"`
	RestartPolicy            *string          `json:"restartPolicy,omitempty"`
	RestartPolicyRules       []struct{}       `json:"restartPolicyRules,omitempty"`
	VolumeMounts             []Mount          `json:"volumeMounts,omitempty"`
	VolumeDevices            []Device         `json:"volumeDevices,omitempty"`
	StartupProbe             *Probe           `json:"startupProbe,omitempty"`
	ReadinessProbe           *Probe           `json:"readinessProbe,omitempty"`
	LivenessProbe            *Probe           `json:"livenessProbe,omitempty"`
	Lifecycle                *Lifecycle       `json:"lifecycle,omitempty"`
	TerminationMessagePath   *string          `json:"terminationMessagePath,omitempty"`
	TerminationMessagePolicy *string          `json:"terminationMessagePolicy,omitempty"`
	SecurityContext          *SecurityContext `json:"securityContext,omitempty"`
	Stdin                    bool             `json:"stdin,omitempty"`
	TTY                      bool             `json:"tty,omitempty"`
}

// Port that a container declares.
type Port struct {
	Name          string `json:"name,omitempty"`
	ContainerPort int32  `json:"containerPort"`
	Protocol      string `json:"protocol,omitempty"`
}

// EnvVar of a container.
type EnvVar struct {
	Name      string    `json:"name"`
	Value     string    `json:"value,omitempty"`
	ValueFrom *struct{} `json:"valueFrom,omitempty"`
}

// Resources of a container or of a pod. Quantities are carried, not read.
type Resources struct {
	Requests map[string]json.RawMessage `json:"requests,omitempty"`
	Limits   map[string]json.RawMessage `json:"limits,omitempty"`
	Claims   []struct{}                 `json:"claims,omitempty"`
}

func (r *Resources) empty() bool {
	return r == nil || len(r.Requests)+len(r.Limits)+len(r.Claims) == 0
}

// Mount of a volume in a container.
type Mount struct {
	Name              string `json:"name"`
	ReadOnly          bool   `json:"readOnly,omitempty"`
	RecursiveReadOnly string `json:"recursiveReadOnly,omitempty"`
	MountPath         string `json:"mountPath"`
	SubPath           string `json:"subPath,omitempty"`
	SubPathExpr       string `json:"subPathExpr,omitempty"`
	MountPropagation  string `json:"mountPropagation,omitempty"`
}

// Device is a volume as a block device.
type Device struct {
	Name string `json:"name"`
}

// Probe of a container.
type Probe struct {
	Exec *Exec `json:"exec"`
}

// Lifecycle hooks of a container.
type Lifecycle struct {
	PostStart *Probe `json:"postStart,omitempty"`
	PreStop   *Probe `json:"preStop,omitempty"`
}

// Exec is a command that a hook or a probe runs in the container.
type Exec struct {
	Command []string `json:"command"`
}

// SecurityContext of a container.
type SecurityContext struct {
	AppArmorProfile          *Profile        `json:"appArmorProfile,omitempty"`
	SELinuxOptions           *SELinuxOptions `json:"seLinuxOptions,omitempty"`
	WindowsOptions           *WindowsOptions `json:"windowsOptions,omitempty"`
	RunAsUser                *int64          `json:"runAsUser,omitempty"`
	RunAsGroup               *int64          `json:"runAsGroup,omitempty"`
	RunAsNonRoot             *bool           `json:"runAsNonRoot,omitempty"`
	Privileged               *bool           `json:"privileged,omitempty"`
	AllowPrivilegeEscalation *bool           `json:"allowPrivilegeEscalation,omitempty"`
	ReadOnlyRootFilesystem   *bool           `json:"readOnlyRootFilesystem,omitempty"`
	Capabilities             *Capabilities   `json:"capabilities,omitempty"`
	SeccompProfile           *Profile        `json:"seccompProfile,omitempty"`
	ProcMount                *string         `json:"procMount,omitempty"`
}

// Capabilities of a container.
type Capabilities struct {
	Add  []string `json:"add,omitempty"`
	Drop []string `json:"drop,omitempty"`
}

// Profile is one of seccomp or AppArmor.
type Profile struct {
	Type             string  `json:"type"`
	LocalhostProfile *string `json:"localhostProfile,omitempty"`
}

// Read decodes the view. Keys are taken in their one spelling, and a key that is there twice is an error: encoding/json
// would take SPEC for spec and the last of two, and whoever reads the pod after us might not.
func Read(raw []byte) (*Pod, error) {
	pod := &Pod{}
	strict, err := kjson.UnmarshalStrict(raw, pod, kjson.DisallowDuplicateFields)
	if err == nil {
		err = errors.Join(strict...)
	}
	var wrongType *json.UnmarshalTypeError
	switch {
	case len(raw) == 0:
		return nil, errors.New("there is none")
	case errors.As(err, &wrongType):
		return nil, fmt.Errorf("%s has a %s where it needs a %s", cmp.Or(wrongType.Field, "the document"), jsonKind(wrongType.Value),
			jsonType(wrongType.Type))
	case err != nil:
		return nil, err
	case pod.APIVersion != "v1" || pod.Kind != "Pod":
		return nil, fmt.Errorf("it says apiVersion %q and kind %q", pod.APIVersion, pod.Kind)
	}
	for at, container := range pod.containers {
		// Also a null, which nothing can be added to.
		if container.Name == "" {
			return nil, fmt.Errorf("%s has no name", at.field())
		}
	}
	return pod, nil
}

// containers of all kinds, each with its place, in the order of the pod's fields.
func (p *Pod) containers(yield func(at pointer, c *Container) bool) {
	for _, kind := range []struct {
		list       string
		containers []Container
	}{
		{"initContainers", p.Spec.InitContainers},
		{"containers", p.Spec.Containers},
		{"ephemeralContainers", p.Spec.EphemeralContainers},
	} {
		for i := range kind.containers {
			if !yield(spec.child(kind.list).index(i), &kind.containers[i]) {
				return
			}
		}
	}
}

// jsonKind is what a value is called. With a number that is out of range the decoder says which, and that is not ours to
// repeat.
func jsonKind(value string) string {
	kind, _, _ := strings.Cut(value, " ")
	switch kind {
	case "array":
		return "list"
	case "object":
		return "map"
	}
	return kind
}

// jsonType is what JSON calls a type of Go's.
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
