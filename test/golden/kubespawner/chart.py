"""The default settings with which the Zero to JupyterHub chart configures KubeSpawner. Chart 4.4.0 has KubeSpawner 7, 3.3.8 has 6."""

CHART = {"6": "3.3.8", "7": "4.4.0"}


def configure(c, version):
    """Writes the chart's default settings into c. A case in matrix.py changes some of them."""
    spawner = c.KubeSpawner
    spawner.cmd = ["jupyterhub-singleuser"]
    spawner.image = f"quay.io/jupyterhub/k8s-singleuser-sample:{CHART[version]}"
    spawner.namespace = "jhub"
    spawner.start_timeout = 300
    spawner.uid = 1000
    spawner.fs_gid = 100
    spawner.allow_privilege_escalation = False
    spawner.mem_guarantee = "1G"
    spawner.extra_labels = {"hub.jupyter.org/network-access-hub": "true"}
    spawner.common_labels = labels(version)
    spawner.scheduler_name = "jhub-user-scheduler"
    spawner.tolerations = [
        {"key": key, "operator": "Equal", "value": "user", "effect": "NoSchedule"}
        for key in ("hub.jupyter.org/dedicated", "hub.jupyter.org_dedicated")
    ]
    purpose = {"key": "hub.jupyter.org/node-purpose", "operator": "In", "values": ["user"]}
    spawner.node_affinity_preferred = [{"weight": 100, "preference": {"matchExpressions": [purpose]}}]
    spawner.init_containers = [block_cloud_metadata(version)]
    if version == "6":
        spawner.pvc_name_template = "claim-{username}{servername}"
    spawner.update(storage_dynamic(version))


def labels(version):
    """The labels of every object of a release of the chart."""
    chart = f"jupyterhub-{CHART[version]}"
    old = {"app": "jupyterhub", "release": "jhub", "chart": chart}
    if version == "6":
        return old | {"heritage": "jupyterhub"}
    return old | {
        "app.kubernetes.io/name": "jupyterhub",
        "app.kubernetes.io/instance": "jhub",
        "app.kubernetes.io/managed-by": "kubespawner",
        "helm.sh/chart": chart,
    }


def block_cloud_metadata(version):
    """The privileged init container of cloudMetadata.blockWithIptables, which is on by default."""
    rule = "--append OUTPUT --protocol tcp --destination 169.254.169.254 --destination-port 80 --jump DROP"
    return {
        "name": "block-cloud-metadata",
        "image": f"quay.io/jupyterhub/k8s-network-tools:{CHART[version]}",
        "command": ["iptables", *rule.split()],
        "securityContext": {"privileged": True, "runAsUser": 0, "capabilities": {"add": ["NET_ADMIN"]}},
        "resources": {},
    }


def volumes(version, name, claim, sub_path, home="/home/jovyan"):
    """One volume, mounted at the home of the image's user. KubeSpawner 7 takes volumes as maps, version 6 only as lists."""
    volume = {"name": name, "persistentVolumeClaim": {"claimName": claim}}
    mount = {"mountPath": home, "name": name}
    if sub_path is not None or version == "7":
        mount["subPath"] = sub_path
    if version == "6":
        return {"volumes": [volume], "volume_mounts": [mount]}
    return {"volumes": {name: volume}, "volume_mounts": {name: mount}}


def storage_dynamic(version, home="/home/jovyan"):
    """singleuser.storage.type: dynamic, the default. Each user has a claim. home is storage.homeMountPath."""
    names = ("volume-{user_server}", "{pvc_name}")
    if version == "6":
        names = ("volume-{username}{servername}", "claim-{username}{servername}")
    return {"storage_pvc_ensure": True, **volumes(version, *names, None, home)}


def storage_static(version, claim):
    """singleuser.storage.type: static. All users share a claim, and each user has a directory of it."""
    return {"storage_pvc_ensure": False, **volumes(version, "home", claim, "home/{username}")}


def storage_none():
    """singleuser.storage.type: none."""
    return {"storage_pvc_ensure": False, "volumes": [], "volume_mounts": []}
