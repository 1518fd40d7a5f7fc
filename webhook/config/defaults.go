package config

import (
	corev1 "k8s.io/api/core/v1"

	"jupyter-user.io/jupyter-user-webhook/webhook/handoff"
)

// Default returns the configuration of a file with only apiVersion and kind.
func Default() *Config {
	return &Config{
		APIVersion: apiVersion,
		Kind:       kind,
		Mode:       ModeEnforce,
		User:       User{MaxLength: 32, HubComponents: []string{"singleuser-server"}, Unmapped: UnmappedDeny},
		Share: Share{
			ClaimName:       "hpc-shared-pvc",
			VolumeName:      "hpc-shared-volume",
			MountPath:       "/data/hpc",
			Home:            "home/{user}",
			ExposeEveryHome: ExposeNever,
			FSGroup:         FSGroupRemove,
		},
		Scratch: Scratch{
			VolumeName: "uid-gid-config",
			MountPath:  "/config",
			SizeLimit:  newQuantity("16Mi"),
		},
		Identity: Identity{
			Discovery:                DiscoveryAuto,
			MinUID:                   1000,
			MinGID:                   1000,
			MaxGroups:                15,
			TooManyGroups:            TooManyGroupsDeny,
			StrictSupplementalGroups: true,
			LDAP: LDAP{
				Bind:             LDAPBind{Method: BindAnonymous},
				Preset:           PresetRFC2307,
				WaitMilliseconds: 500, FreshSeconds: 30, FreshMissingSeconds: 2, StaleSeconds: 600,
			},
		},
		Init: Init{
			Image: "jupyter-user-webhook:" + handoff.Version,
			Resources: Resources{
				Requests: resources("10m", "16Mi"),
				Limits:   resources("100m", "32Mi"),
			},
		},
		Notebook: Notebook{
			ContainerNames: []string{"notebook", "jupyterlab"},
			Homes:          "/home",
			Port:           8888,
			Env:            []EnvVar{{Name: "JUPYTER_ENABLE_LAB", Value: "yes"}},
			Resources: Resources{
				Requests: resources("1", "2Gi"),
				Limits:   resources("2", "4Gi"),
			},
			Probes: Probes{
				Enabled: true,
				// Ten minutes: a JupyterLab with many extensions on a cold NFS starts slowly. The other two probes begin
				// only after the startup probe has passed.
				Startup:   Probe{Enabled: true, PeriodSeconds: 5, TimeoutSeconds: 5, FailureThreshold: 120},
				Readiness: Probe{Enabled: true, PeriodSeconds: 5, TimeoutSeconds: 5, FailureThreshold: 3},
				// Two minutes: a Jupyter kernel can starve the server of CPU for a minute, and a restart loses the user's
				// unsaved work.
				Liveness: Probe{Enabled: true, PeriodSeconds: 10, TimeoutSeconds: 10, FailureThreshold: 12},
			},
			AccountFiles: true,
		},
	}
}

func resources(cpu, memory string) corev1.ResourceList {
	return corev1.ResourceList{
		corev1.ResourceCPU:    newQuantity(cpu),
		corev1.ResourceMemory: newQuantity(memory),
	}
}
