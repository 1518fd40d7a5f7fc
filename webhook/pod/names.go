package pod

func (v Volume) ElementName() string         { return v.Name }
func (v EnvVar) ElementName() string         { return v.Name }
func (m Mount) ElementName() string          { return m.MountPath }
func (p *Port) ElementName() string          { return p.Name }
func (r LocalReference) ElementName() string { return r.Name }

func (c Container) ElementName() string { return c.Name }

func (c *InitContainer) ElementName() string { return c.Name }
