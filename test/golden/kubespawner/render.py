"""Renders pods as a JupyterHub's KubeSpawner writes them, for the corpus of golden pods.

It runs the real hub up to where KubeSpawner would send a pod to the API server: a user, a server and its address in the hub's
database, User.spawn(), the profile that was chosen, get_pod_manifest(). It contacts nobody. What differs from one run to the
next, the tokens, is given fixed values, so that the files are the same each time.

    python render.py 7 DIRECTORY    writes kubespawner-7-*.yaml there, with the KubeSpawner 7 that is installed
"""

import asyncio
import os
import sys
import tempfile
from pathlib import Path

import chart
import matrix
import yaml

HUB = "http://hub:8081"
# KubeSpawner asks for a kubeconfig before it does anything.
KUBECONFIG = """
apiVersion: v1
kind: Config
current-context: nowhere
contexts: [{name: nowhere, context: {cluster: nowhere, user: nobody}}]
clusters: [{name: nowhere, cluster: {server: "http://127.0.0.1:1"}}]
users: [{name: nobody, user: {}}]
"""


def new_hub(config):
    """A hub that is initialised and not started."""
    from jupyterhub.app import JupyterHub

    config.JupyterHub.db_url = "sqlite://"
    config.JupyterHub.cookie_secret = bytes(32)
    config.JupyterHub.log_level = "ERROR"
    # What the chart says, with the addresses that its Services have.
    config.JupyterHub.authenticator_class = "dummy"
    config.JupyterHub.hub_bind_url = "http://:8081"
    config.JupyterHub.hub_connect_url = HUB
    config.JupyterHub.allow_named_servers = True
    config.ConfigurableHTTPProxy.should_start = False
    config.ConfigurableHTTPProxy.auth_token = "fixed"
    return JupyterHub(config=config)


def recording():
    """KubeSpawner, but that in place of creating the pod it keeps what it would have created."""
    from kubespawner import KubeSpawner

    class Recording(KubeSpawner):
        async def start(self):
            self.api_token = "0123456789abcdef0123456789abcdef"
            await self.load_user_options()
            pod = await self.get_pod_manifest()
            self.recorded = self.api.api_client.sanitize_for_serialization(pod)
            return f"http://127.0.0.1:{self.port}"

        async def stop(self, now=False):
            pass

        async def poll(self):
            return None

    # The configuration is KubeSpawner's, by whatever name the class goes.
    Recording.__name__ = "KubeSpawner"
    return Recording


async def render(version, case):
    """The pod of one case of the matrix."""
    from jupyterhub import orm
    from jupyterhub.user import User
    from traitlets.config import Config

    config = Config()
    chart.configure(config, version)
    config.KubeSpawner.update(case.config)
    config.JupyterHub.update(case.hub)
    config.JupyterHub.spawner_class = recording()
    hub = new_hub(config)
    await hub.initialize([])

    class Started(User):
        """A user whose server is up as soon as it is started: no one is asked whether it is."""

        async def _wait_up(self, spawner):
            pass

    record = orm.User(name=case.user)
    hub.db.add(record)
    hub.db.commit()
    from jupyterhub import roles

    roles.assign_default_roles(hub.db, entity=record)
    user = Started(record, hub.tornado_settings)
    await user.spawn(case.server, options=dict(case.options))
    pod = user.spawners[case.server].recorded
    for handler in hub.log.handlers:
        handler.flush()
    return pod


def write(directory, version, case, pod):
    """One file for each way in which the case matters."""
    for way in case.ways:
        suffix = f"-{way.name}" if len(case.ways) > 1 else ""
        lines = [f"# {line}" for line in way.comments + case.comments]
        lines.append("# Rendered by test/golden/kubespawner: make kubespawner writes it anew.")
        text = yaml.safe_dump(pod, sort_keys=True, default_flow_style=False, width=1000)
        name = f"kubespawner-{version}-{case.name}{suffix}.yaml"
        (directory / name).write_text("\n".join(lines) + "\n" + text)


def main():
    version, directory = sys.argv[1], Path(sys.argv[2]).resolve()
    with tempfile.TemporaryDirectory() as work:
        # The hub writes files where it runs, and where the kubeconfig is, is read when KubeSpawner is imported.
        os.chdir(work)
        Path("kubeconfig").write_text(KUBECONFIG)
        os.environ["KUBECONFIG"] = str(Path("kubeconfig").resolve())
        import kubespawner

        if kubespawner.__version__.split(".")[0] != version:
            sys.exit(f"this is KubeSpawner {kubespawner.__version__}, and not {version}")
        for case in matrix.cases(version):
            write(directory, version, case, asyncio.run(render(version, case)))


if __name__ == "__main__":
    main()
