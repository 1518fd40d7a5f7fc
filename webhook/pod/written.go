package pod

// A patch writes values of these types with the defaults that the API server would set, so that the API server stores the
// values unchanged.

// InitContainer is the init container that the webhook adds to a Pod.
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

// HTTPProbe is a probe by HTTP or by a TCP connection.
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
