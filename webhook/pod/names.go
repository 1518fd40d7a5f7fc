package pod

// ElementName returns the name that identifies the volume in its list.
func (v Volume) ElementName() string { return v.Name }

// ElementName returns the name of the variable.
func (v EnvVar) ElementName() string { return v.Name }

// ElementName returns the path in the container, which identifies a mount in its list.
func (m Mount) ElementName() string { return m.MountPath }

// ElementName returns the name of the port.
func (p *Port) ElementName() string { return p.Name }

// ElementName returns the name of the object that the reference names.
func (r LocalReference) ElementName() string { return r.Name }

// ElementName returns the name of the container.
func (c Container) ElementName() string { return c.Name }

// ElementName returns the name of the init container.
func (c *InitContainer) ElementName() string { return c.Name }
