"""The Pods to render: the settings of each hub that differ from the chart's defaults, the user, and the discoveries to test."""

from dataclasses import dataclass, field

import chart


@dataclass
class Discovery:
    """A discovery, and the comments that select it in a golden input."""

    name: str
    comments: list


AT_START = Discovery("at-start", [])
AT_ADMISSION = Discovery("at-admission", ["identity: 5001:6001"])
RESTRICTED = Discovery("in-restricted", ["identity: 5001:6001", "namespace: restricted"])
BOTH = [AT_START, AT_ADMISSION]


@dataclass
class Case:
    """One Pod. config is the configuration of KubeSpawner, hub that of the hub. options are the user's choices in the hub's form."""

    name: str
    config: dict = field(default_factory=dict)
    user: str = "alice"
    server: str = ""
    options: dict = field(default_factory=dict)
    hub: dict = field(default_factory=dict)
    discoveries: list = field(default_factory=lambda: [AT_START])
    # comments are further comments in the golden input, such as the webhook's configuration.
    comments: list = field(default_factory=list)


DOCKER_STACKS = "quay.io/jupyter/minimal-notebook:2026-10-05"
# Without a cmd, the container starts with the image's own command.
IMAGES_OWN = {"cmd": None}


def cases(version):
    """All cases of one version of KubeSpawner. Version 6 has only the cases that its different names, labels and volumes can affect."""
    common = defaults(version) + users() + labels_of_the_hubs_own()
    if version == "6":
        return common
    return common + starts() + directories() + variables() + other_containers() + storage() + security() + rest()


def defaults(version):
    return [
        Case("default", discoveries=BOTH),
        Case("named-server", server="gpu-2", discoveries=BOTH),
        # cloudMetadata.blockWithIptables: false, and no claim. With discovery at admission, the injected Pod meets restricted.
        Case("default-without-iptables", {"init_containers": [], **chart.storage_none()}, discoveries=[AT_START, RESTRICTED]),
        Case("storage-static", chart.storage_static(version, "nfs-pvc"), discoveries=BOTH),
        Case("internal-ssl", hub={"internal_ssl": True}, discoveries=BOTH),
    ]


def users():
    domain = ["config: domain.yaml"]
    return [
        Case("user-alice.smith", user="alice.smith"),
        Case("user-Alice", user="Alice"),
        Case("user-Alice-where-upper-case-is-allowed", user="Alice", comments=["config: upper-case.yaml"]),
        Case("user-user-1", user="user-1"),
        Case("user-alice@x.org", user="alice@x.org"),
        Case("user-alice@x.org-with-a-domain", user="alice@x.org", discoveries=BOTH, comments=domain),
        Case("user-alice@other.org-with-a-domain", user="alice@other.org", comments=domain),
        Case("user-123abc", user="123abc"),
    ]


def labels_of_the_hubs_own():
    own = {"extra_labels": {"jupyter-user": "{username}"}}
    return [
        Case("extra-labels-agree", own),
        Case("extra-labels-differ", own, user="alice_s"),
    ]


def starts():
    return [
        Case("cmd-list", {"cmd": ["jupyter", "labhub", "--debug"], "image": DOCKER_STACKS}, discoveries=BOTH),
        Case("cmd-unset", IMAGES_OWN, discoveries=BOTH),
        Case("cmd-unset-docker-stacks", {"image": DOCKER_STACKS, **IMAGES_OWN}, discoveries=BOTH),
        Case("cmd-start-singleuser.sh", {"cmd": ["start-singleuser.sh"], "image": DOCKER_STACKS}, discoveries=BOTH),
        Case("cmd-of-its-own", {"cmd": ["/usr/local/bin/our-start", "--fast"]}, discoveries=BOTH),
        Case("args", {"args": ["--ServerApp.max_body_size=1000000", "--price=$5"]}, discoveries=BOTH),
        Case("args-without-cmd", {"args": ["--debug"], **IMAGES_OWN}),
    ]


def directories():
    def notebook_dir(path):
        return {"notebook_dir": path, "image": DOCKER_STACKS}

    return [
        Case("notebook-dir-home", notebook_dir("~")),
        Case("notebook-dir-below-home", notebook_dir("~/notebooks")),
        Case("notebook-dir-username", notebook_dir("/home/{username}")),
        Case("notebook-dir-jovyan", notebook_dir("/home/jovyan"), discoveries=BOTH),
        Case("notebook-dir-jovyan-work", notebook_dir("/home/jovyan/work/"), discoveries=BOTH),
        Case("notebook-dir-elsewhere", notebook_dir("/srv/courses")),
        Case("working-dir-jovyan", {"working_dir": "/home/jovyan"}, discoveries=BOTH),
        Case("working-dir-elsewhere", {"working_dir": "/srv/courses"}, discoveries=BOTH),
        Case("default-url", {"default_url": "/lab/tree/welcome.ipynb"}),
        Case("base-url-of-the-hub", hub={"base_url": "/jupyter/"}, server="gpu-2"),
        Case("port", {"port": 9999}),
        Case("ip-version-6", {"ip": "::"}),
    ]


def variables():
    environment = {"EDITOR": "vi", "PLACE": "{username}", "JUPYTER_ENABLE_LAB": "no"}
    identity = {"NB_UID": "1000", "NB_GID": "100", "NB_USER": "jovyan", "GRANT_SUDO": "yes", "CHOWN_HOME": "yes"}
    return [
        Case("environment", {"environment": environment}),
        Case("environment-of-identity", {"environment": identity}, discoveries=BOTH),
        Case("environment-home", {"environment": {"HOME": "/home/jovyan"}}, discoveries=BOTH),
    ]


def other_containers():
    sidecar = {"name": "sidecar", "image": "registry.example/sidecar:1", "ports": [{"containerPort": 9000}]}
    volume = {"name": "seed", "image": "registry.example/seed:1", "volumeMounts": [{"name": "volume-alice", "mountPath": "/seed"}]}
    hook = {"exec": {"command": ["sh", "-c", "gitpuller https://git.example/course main course || true"]}}
    stop = {"httpGet": {"path": "/bye", "port": 9000}}
    return [
        Case("extra-containers", {"extra_containers": [sidecar]}, discoveries=BOTH),
        Case("init-containers", {"init_containers": {"0-seed": volume}}, discoveries=BOTH),
        Case("lifecycle-hooks", {"lifecycle_hooks": {"postStart": hook, "preStop": stop}}, discoveries=BOTH),
    ]


def storage():
    shared = {"name": "courses", "persistentVolumeClaim": {"claimName": "courses"}}
    dynamic = chart.storage_dynamic("7")

    def beside(volume, mount):
        return {
            "volumes": dynamic["volumes"] | {volume["name"]: volume},
            "volume_mounts": dynamic["volume_mounts"] | {volume["name"]: {"name": volume["name"], **mount}},
        }

    memory = {"name": "shm", "emptyDir": {"medium": "Memory"}}
    files = {"name": "files", "secret": {"secretName": "singleuser", "items": [{"key": "settings", "path": "settings"}]}}
    in_jovyan = {"mountPath": "/home/jovyan/.jupyter/settings.json", "subPath": "settings"}
    return [
        Case("storage-none", chart.storage_none(), discoveries=BOTH),
        Case("storage-static-of-the-share", chart.storage_static("7", "hpc-shared-pvc")),
        Case("storage-at-the-users-home", chart.storage_dynamic("7", "/home/{username}")),
        Case("storage-extra-volume", beside(shared, {"mountPath": "/srv/courses", "readOnly": True})),
        Case("storage-extra-volume-in-jovyan", beside(shared, {"mountPath": "/home/jovyan/courses"}), discoveries=BOTH),
        Case("storage-shm", beside(memory, {"mountPath": "/dev/shm"})),
        Case("extra-files", beside(files, {"mountPath": "/etc/jupyter/settings.json", "subPath": "settings"}), discoveries=BOTH),
        Case("extra-files-in-jovyan", beside(files, in_jovyan), discoveries=BOTH),
    ]


def security():
    container = {"runAsNonRoot": True, "capabilities": {"drop": ["ALL"]}, "seccompProfile": {"type": "RuntimeDefault"}}
    return [
        Case("uid-and-gid", {"uid": 2000, "gid": 2000}, discoveries=BOTH),
        Case("uid-root", {"uid": 0, "environment": {"NB_UID": "1000", "GRANT_SUDO": "yes"}, "image": DOCKER_STACKS}, discoveries=BOTH),
        Case("uid-unset", {"uid": None, "fs_gid": None}),
        Case("fs-gid", {"fs_gid": 500}),
        Case("supplemental-gids", {"supplemental_gids": [100]}, discoveries=BOTH),
        Case("privileged", {"privileged": True}, discoveries=BOTH),
        Case("allow-privilege-escalation", {"allow_privilege_escalation": True}),
        Case("allow-privilege-escalation-unset", {"allow_privilege_escalation": None}),
        Case("container-security-context", {"container_security_context": container}, discoveries=[*BOTH, RESTRICTED]),
        Case("pod-security-context", {"pod_security_context": {"runAsUser": 1000, "runAsGroup": 100, "fsGroup": 100}}, discoveries=BOTH),
        Case("pod-security-context-non-root", {"pod_security_context": {"runAsNonRoot": True}}, discoveries=BOTH),
        Case("service-account", {"service_account": "notebooks", "automount_service_account_token": True}),
    ]


def rest():
    profiles = [
        {"display_name": "Small", "default": True, "kubespawner_override": {"mem_limit": "2G"}},
        {
            "display_name": "Large",
            "slug": "large",
            "kubespawner_override": {"image": DOCKER_STACKS, "mem_limit": "8G", "cpu_limit": 4, "cmd": None},
        },
    ]
    host_users = {"extra_pod_config": {"hostUsers": False}}
    return [
        Case("profile-default", {"profile_list": profiles}),
        Case("profile-chosen", {"profile_list": profiles}, options={"profile": "large"}, discoveries=BOTH),
        Case("limits", {"cpu_limit": 2, "cpu_guarantee": 0.5, "mem_limit": "4G"}),
        # One Kubernetes namespace for each user. The Pod is the same.
        Case("user-namespaces", {"enable_user_namespaces": True}),
        # User namespaces of Linux.
        Case("host-users", host_users),
        Case("host-users-where-allowed", host_users, comments=["config: user-namespaces.yaml"]),
        Case("extra-container-config", {"extra_container_config": {"envFrom": [{"configMapRef": {"name": "site"}}]}}),
    ]
