"""Renders the Pods that KubeSpawner would create, as golden inputs.

The script runs the real hub to the point where KubeSpawner would send a Pod to the API server: a user and a server in the hub's
database, User.spawn(), the chosen profile, get_pod_manifest(). It uses no network. The token has a fixed value, so that every run writes
the same files.

    python render.py 7 DIRECTORY    writes kubespawner-7-*.yaml into DIRECTORY; KubeSpawner 7 must be installed
"""

import asyncio
import os
import sys
import tempfile
from pathlib import Path

import chart
import matrix
import yaml

# KubeSpawner reads a kubeconfig when it is imported. It never connects to this cluster.
KUBECONFIG = """
apiVersion: v1
kind: Config
current-context: nowhere
contexts: [{name: nowhere, context: {cluster: nowhere, user: nobody}}]
clusters: [{name: nowhere, cluster: {server: "http://127.0.0.1:1"}}]
users: [{name: nobody, user: {}}]
"""

TOKEN = "0123456789abcdef0123456789abcdef"


async def new_hub(settings):
    """Returns a hub with the given settings that is initialised and not started. The function render configures KubeSpawner."""
    from jupyterhub.app import JupyterHub
    from traitlets.config import Config

    config = Config()
    config.JupyterHub.db_url = "sqlite://"
    config.JupyterHub.cookie_secret = bytes(32)
    config.JupyterHub.log_level = "ERROR"
    config.JupyterHub.authenticator_class = "dummy"
    config.JupyterHub.hub_bind_url = "http://:8081"
    config.JupyterHub.hub_connect_url = "http://hub:8081"
    config.JupyterHub.allow_named_servers = True
    config.ConfigurableHTTPProxy.should_start = False
    config.ConfigurableHTTPProxy.auth_token = TOKEN
    config.JupyterHub.update(settings)
    hub = JupyterHub(config=config)
    await hub.initialize([])
    return hub


def recorder():
    """Returns a KubeSpawner class that records the Pod and does not create it."""
    from kubespawner import KubeSpawner as Real

    # The class must have this name, because its settings are in config.KubeSpawner.
    class KubeSpawner(Real):
        async def start(self):
            self.api_token = TOKEN
            await self.load_user_options()
            pod = await self.get_pod_manifest()
            self.recorded = self.api.api_client.sanitize_for_serialization(pod)
            return f"http://127.0.0.1:{self.port}"

        async def stop(self, now=False):
            pass

        async def poll(self):
            return None

    return KubeSpawner


async def render(hub, spawner, version, case):
    """Returns the Pod of a case."""
    from jupyterhub import orm, roles
    from jupyterhub.user import User
    from traitlets.config import Config

    class Started(User):
        """A user whose server is treated as ready immediately after the start."""

        async def _wait_up(self, spawner):
            pass

    config = Config()
    chart.configure(config, version)
    config.KubeSpawner.update(case.config)
    record = orm.User(name=case.user)
    hub.db.add(record)
    hub.db.commit()
    roles.assign_default_roles(hub.db, entity=record)
    user = Started(record, hub.tornado_settings | {"config": config, "spawner_class": spawner})
    await user.spawn(case.server, options=dict(case.options))
    pod = user.spawners[case.server].recorded
    hub.db.delete(record)
    hub.db.commit()
    return pod


def write(directory, version, case, pod):
    """Writes one file for each discovery of the case."""
    for discovery in case.discoveries:
        suffix = f"-{discovery.name}" if len(case.discoveries) > 1 else ""
        said = [*discovery.comments, *case.comments, "Rendered by test/golden/kubespawner. Do not edit: make kubespawner writes this file."]
        text = "".join(f"# {line}\n" for line in said) + yaml.safe_dump(pod, width=1000)
        (directory / f"kubespawner-{version}-{case.name}{suffix}.yaml").write_text(text)


async def render_all(version, directory):
    import kubespawner

    if kubespawner.__version__.split(".")[0] != version:
        sys.exit(f"KubeSpawner {kubespawner.__version__} is installed, and version {version} is needed")
    spawner, hubs = recorder(), {}
    for case in matrix.cases(version):
        key = str(case.hub)
        if key not in hubs:
            hubs[key] = await new_hub(case.hub)
        write(directory, version, case, await render(hubs[key], spawner, version, case))


def main():
    version, directory = sys.argv[1], Path(sys.argv[2]).resolve()
    with tempfile.TemporaryDirectory() as work:
        # The hub writes files into its working directory. KUBECONFIG must be set before KubeSpawner is imported.
        os.chdir(work)
        Path("kubeconfig").write_text(KUBECONFIG)
        os.environ["KUBECONFIG"] = str(Path("kubeconfig").resolve())
        asyncio.run(render_all(version, directory))


if __name__ == "__main__":
    main()
