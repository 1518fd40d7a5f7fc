"""The configuration that the chart Zero to JupyterHub (4.4.0) makes of its default values, with changes for these tests.

The cluster of a test has no second scheduler, and no privileged init container that blocks cloud metadata. A server requests little
memory and CPU, so that it does not displace other programs on a machine with two cores. The dictionary settings has the values of
one test. settings["servers"] has traits of KubeSpawner for individual servers. The hub sets them before the server starts.
"""

import json
import os

from jupyterhub.auth import DummyAuthenticator

with open(os.environ["HUB_SETTINGS"]) as file:
    settings = json.load(file)

c = get_config()  # noqa: F821


class Authenticator(DummyAuthenticator):
    """Any user may log in, with any name. Names keep upper case letters, because a test logs in as Alice. DummyAuthenticator and
    most other authenticators make names lower case.
    """

    def normalize_username(self, username):
        return username


c.JupyterHub.authenticator_class = Authenticator
c.Authenticator.allow_all = True

c.JupyterHub.spawner_class = "kubespawner.KubeSpawner"
c.ConfigurableHTTPProxy.api_url = settings["proxyAPI"]
c.ConfigurableHTTPProxy.should_start = False
c.JupyterHub.cleanup_servers = False
c.JupyterHub.last_activity_interval = 60
c.JupyterHub.tornado_settings = {"slow_spawn_timeout": 0}
c.JupyterHub.db_url = "sqlite:///jupyterhub.sqlite"
c.JupyterHub.concurrent_spawn_limit = 64
c.JupyterHub.allow_named_servers = True
c.JupyterHub.bind_url = settings["public"]
c.JupyterHub.hub_bind_url = settings["hub"]
c.JupyterHub.hub_connect_url = settings["hub"]
# With the chart's value 5, the hub would end after five denied servers in a row, and these tests have as many.
c.Spawner.consecutive_failure_limit = 0

common = {"app.kubernetes.io/name": "jupyterhub", "app": "jupyterhub", "app.kubernetes.io/managed-by": "kubespawner"}
c.KubeSpawner.common_labels = {**common, "app.kubernetes.io/instance": "hub", "release": "hub"}
c.KubeSpawner.namespace = settings["namespace"]
c.KubeSpawner.start_timeout = 300
c.KubeSpawner.events_enabled = True
c.KubeSpawner.extra_labels = {"hub.jupyter.org/network-access-hub": "true"}
c.KubeSpawner.uid = 1000
c.KubeSpawner.fs_gid = 100
c.KubeSpawner.allow_privilege_escalation = False
c.KubeSpawner.mem_guarantee = "64M"
c.KubeSpawner.cpu_guarantee = 0.05
c.KubeSpawner.image = settings["image"]
c.KubeSpawner.node_affinity_preferred = [
    {
        "weight": 100,
        "preference": {
            "matchExpressions": [{"key": "hub.jupyter.org/node-purpose", "operator": "In", "values": ["user"]}]
        },
    }
]
c.KubeSpawner.tolerations = [
    {"key": key, "operator": "Equal", "value": "user", "effect": "NoSchedule"}
    for key in ("hub.jupyter.org/dedicated", "hub.jupyter.org_dedicated")
]
c.Spawner.cmd = "jupyterhub-singleuser"

# Storage is dynamic: a claim for each server. KubeSpawner 6 and 7 give the objects different names.
c.KubeSpawner.storage_pvc_ensure = True
c.KubeSpawner.storage_access_modes = ["ReadWriteOnce"]
c.KubeSpawner.storage_capacity = "10Gi"
volume, claim = "volume-{user_server}", "{pvc_name}"
if settings["release"] == "kubespawner-6":
    volume, claim = "volume-{username}{servername}", "claim-{username}{servername}"
    c.KubeSpawner.pvc_name_template = claim
c.KubeSpawner.volumes = [{"name": volume, "persistentVolumeClaim": {"claimName": claim}}]
c.KubeSpawner.volume_mounts = [{"mountPath": "/home/jovyan", "name": volume}]


def as_configured(spawner):
    for trait, value in settings["servers"].get(f"{spawner.user.name}/{spawner.name}", {}).items():
        setattr(spawner, trait, value)


c.Spawner.pre_spawn_hook = as_configured
exec(settings["config"])
