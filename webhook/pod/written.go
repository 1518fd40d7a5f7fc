package pod

// The values of a Pod that a patch writes as the API server would default them, so that what is written is what is stored.

// InitContainer is all that it has.
type InitContainer struct {
	Name                     string           `json:"name"`
	Image                    string           `json:"image"`
	ImagePullPolicy          string           `json:"imagePullPolicy"`
	Command                  []string         `json:"command"`
	Args                     []string         `json:"args"`
	Resources                *Resources       `json:"resources,omitzero"`
	VolumeMounts             []Mount          `json:"volumeMounts"`
	TerminationMessagePath   string           `json:"terminationMessagePath"`
	TerminationMessagePolicy string           `json:"terminationMessagePolicy"`
	SecurityContext          *SecurityContext `json:"securityContext,omitzero"`
}

// HTTPProbe is a probe as the API server would default it, so that what we write is what is stored.
type HTTPProbe struct {
	HTTPGet          *HTTPGet   `json:"httpGet,omitempty"`
	TCPSocket        *TCPSocket `json:"tcpSocket,omitempty"`
	PeriodSeconds    int32      `json:"periodSeconds"`
	TimeoutSeconds   int32      `json:"timeoutSeconds"`
	FailureThreshold int32      `json:"failureThreshold"`
	SuccessThreshold int32      `json:"successThreshold"`
}

// HTTPGet is a probe that succeeds if a GET returns a status from 200 to 399.
type HTTPGet struct {
	Path   string `json:"path"`
	Port   int32  `json:"port"`
	Scheme string `json:"scheme"`
}

// TCPSocket is a probe that succeeds if the port accepts a connection.
type TCPSocket struct {
	Port int32 `json:"port"`
}
