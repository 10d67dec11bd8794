"""A real etcd and API server on loopback ports."""

import base64
import datetime
import functools
import json
import os
import ssl
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID

from hitl.cluster.body import encode
from tests.backends.processes import PATIENCE, ServerProcess, free_ports
from tests.cluster import installs

REPOSITORY = Path(__file__).parents[2]

_OURS = "/apis/hitl.flyte.org/v1alpha1"
_PATHS = {
    "HumanInput": (_OURS, "humaninputs"),
    "HumanInputResponse": (_OURS, "humaninputresponses"),
    "NotificationTarget": (_OURS, "notificationtargets"),
    "HumanInputPolicy": (_OURS, "humaninputpolicies"),
    "Namespace": ("/api/v1", "namespaces"),
    "Secret": ("/api/v1", "secrets"),
    "ConfigMap": ("/api/v1", "configmaps"),
    "Service": ("/api/v1", "services"),
    "Deployment": ("/apis/apps/v1", "deployments"),
    "Lease": ("/apis/coordination.k8s.io/v1", "leases"),
    "CustomResourceDefinition": ("/apis/apiextensions.k8s.io/v1", "customresourcedefinitions"),
}
# How long a certificate is valid.
_LASTS = datetime.timedelta(days=2)


@dataclass(frozen=True)
class Done:
    """What a command printed and how it ended."""

    code: int
    out: str
    err: str


class ControlPlane:
    """etcd, the API server and, when asked for, the controllers, each as a process of its own.

    Args:
        folder: Where their data, keys and logs lie.
        api_flags: More flags for the API server.
    """

    def __init__(self, folder: Path, api_flags: Sequence[str] = ()) -> None:
        self._folder = folder
        self._programs = installs.control_plane()
        folder.mkdir(parents=True, exist_ok=True)
        self._authority = _Authority()
        (folder / "ca.crt").write_bytes(self._authority.certificate)
        service_accounts = rsa.generate_private_key(65537, 2048)
        (folder / "sa.key").write_bytes(_private(service_accounts))
        (folder / "sa.pub").write_bytes(
            service_accounts.public_key().public_bytes(
                serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
            )
        )
        certificate, key = self._authority.issue("kube-apiserver", [], hosts=["127.0.0.1"])
        (folder / "apiserver.crt").write_bytes(certificate)
        (folder / "apiserver.key").write_bytes(key)
        etcd_port, peer_port, self._port = free_ports(3)
        self._etcd_url = f"http://127.0.0.1:{etcd_port}"
        self.url = f"https://127.0.0.1:{self._port}"
        self.kubeconfig = self.user("admin", "system:masters")
        peer = f"http://127.0.0.1:{peer_port}"
        self._etcd = ServerProcess(
            [
                str(self._programs["etcd"]),
                f"--data-dir={folder / 'etcd'}",
                f"--listen-client-urls={self._etcd_url}",
                f"--advertise-client-urls={self._etcd_url}",
                f"--listen-peer-urls={peer}",
                f"--initial-advertise-peer-urls={peer}",
                f"--initial-cluster=default={peer}",
                "--unsafe-no-fsync",
                "--log-level=error",
            ],
            folder / "etcd.log",
            lambda: _is_up(f"{self._etcd_url}/health"),
        )
        self._api = ServerProcess(
            [
                str(self._programs["kube-apiserver"]),
                f"--etcd-servers={self._etcd_url}",
                "--bind-address=127.0.0.1",
                "--advertise-address=127.0.0.1",
                f"--secure-port={self._port}",
                f"--tls-cert-file={folder / 'apiserver.crt'}",
                f"--tls-private-key-file={folder / 'apiserver.key'}",
                f"--client-ca-file={folder / 'ca.crt'}",
                "--service-account-issuer=https://kubernetes.default.svc",
                f"--service-account-key-file={folder / 'sa.pub'}",
                f"--service-account-signing-key-file={folder / 'sa.key'}",
                "--service-cluster-ip-range=10.96.0.0/16",
                "--authorization-mode=RBAC",
                "--endpoint-reconciler-type=none",
                "--allow-privileged=true",
                *api_flags,
            ],
            folder / "apiserver.log",
            lambda: _is_up(f"{self.url}/readyz"),
        )
        self._controllers: ServerProcess | None = None
        self._client: httpx.Client | None = None

    def start(self) -> None:
        """Start etcd and the API server, and wait until they serve."""
        self._etcd.start()
        self._api.start()
        self._connected()

    def stop(self) -> None:
        """End everything."""
        if self._client is not None:
            self._client.close()
        for each in (self._controllers, self._api, self._etcd):
            if each is not None:
                each.kill()

    def start_controllers(self) -> None:
        """Start the controller manager, which deletes namespaces and what is owned by what is gone."""
        if self._controllers is None:
            [port] = free_ports(1)
            self._controllers = ServerProcess(
                [
                    str(self._programs["kube-controller-manager"]),
                    f"--kubeconfig={self.kubeconfig}",
                    f"--service-account-private-key-file={self._folder / 'sa.key'}",
                    f"--secure-port={port}",
                    "--bind-address=127.0.0.1",
                    "--leader-elect=false",
                ],
                self._folder / "controllers.log",
                lambda: _is_up(f"https://127.0.0.1:{port}/healthz"),
            )
            self._controllers.start()

    def stop_api(self) -> None:
        """End the API server at once, as a crash would."""
        self._api.kill()

    def start_api(self) -> None:
        """Start the API server again, on its old port."""
        self._api.start()

    def pause(self) -> None:
        """Let the API server hang: connections stay open and nothing answers."""
        self._api.pause()

    def resume(self) -> None:
        """Let the API server go on after `pause`."""
        self._api.resume()

    def restore(self, content: dict[str, Any]) -> None:
        """Put a custom resource into etcd as it was dumped, with its uid, its times and its status."""
        metadata = {name: value for name, value in content["metadata"].items() if name != "resourceVersion"}
        plural = _PATHS[content["kind"]][1]
        key = f"/registry/hitl.flyte.org/{plural}/{metadata['namespace']}/{metadata['name']}"
        pair = {"key": key, "value": json.dumps({**content, "metadata": metadata})}
        encoded = {name: base64.b64encode(text.encode()).decode() for name, text in pair.items()}
        httpx.post(f"{self._etcd_url}/v3/kv/put", json=encoded).raise_for_status()

    def compact(self) -> None:
        """Make etcd forget all history, so that watches from before it get 410 Gone."""
        found = httpx.post(f"{self._etcd_url}/v3/kv/range", json={"key": base64.b64encode(b"x").decode()}).json()
        revision = found["header"]["revision"]
        done = httpx.post(f"{self._etcd_url}/v3/kv/compaction", json={"revision": revision, "physical": True})
        done.raise_for_status()

    def requests(self, resource: str, verbs: Sequence[str] = ()) -> int:
        """Return how many requests for a resource the API server has answered, of some verbs or of all."""
        lines = self.request("GET", "/metrics").out.splitlines()
        counted = [
            line
            for line in lines
            if line.startswith("apiserver_request_total{")
            and f'resource="{resource}"' in line
            and (not verbs or any(f'verb="{verb}"' in line for verb in verbs))
        ]
        return int(sum(float(line.rpartition(" ")[2]) for line in counted))

    def user(self, name: str, *groups: str) -> Path:
        """Return the path of a kubeconfig for a user in some groups."""
        certificate, key = self._authority.issue(name, groups)
        (self._folder / f"{name}.crt").write_bytes(certificate)
        (self._folder / f"{name}.key").write_bytes(key)
        user = {
            "client-certificate-data": base64.b64encode(certificate).decode(),
            "client-key-data": base64.b64encode(key).decode(),
        }
        return self._kubeconfig(name, user)

    def renew(self, name: str, *groups: str, lasts: datetime.timedelta) -> Path:
        """Write a certificate that ends soon, and its key, over the former ones; return a kubeconfig with both."""
        certificate, key = self._authority.issue(name, groups, lasts=lasts)
        (self._folder / f"{name}.key").write_bytes(key)
        (self._folder / f"{name}.crt").write_bytes(certificate)
        return self._kubeconfig(name, {"client-certificate": f"{name}.crt", "client-key": f"{name}.key"})

    def service_account(self, namespace: str, name: str) -> Path:
        """Return the path of a kubeconfig for a service account."""
        token = self.kubectl("create", "token", name, "-n", namespace).out.strip()
        return self._kubeconfig(f"{namespace}-{name}", {"token": token})

    def kubectl(
        self,
        *arguments: str,
        stdin: str | None = None,
        check: bool = True,
        user: str | None = None,
        groups: Sequence[str] = (),
        kubeconfig: Path | None = None,
        env: dict[str, str] | None = None,
    ) -> Done:
        """Run kubectl, as admin or as somebody else."""
        command = [str(self._programs["kubectl"]), f"--kubeconfig={kubeconfig or self.kubeconfig}", *arguments]
        if user:
            command += [f"--as={user}", *(f"--as-group={group}" for group in groups)]
        done = subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=120, env=env)
        if check and done.returncode:
            raise AssertionError(f"kubectl {' '.join(arguments)}:\n{done.stdout}{done.stderr}")
        return Done(done.returncode, done.stdout, done.stderr)

    def environment(self) -> dict[str, str]:
        """Return the variables with which a script's own kubectl comes here as admin."""
        path = f"{self._programs['kubectl'].parent}:{os.environ['PATH']}"
        return {"KUBECONFIG": str(self.kubeconfig), "PATH": path}

    def apply(self, content: dict[str, Any], manager: str = "kubectl", subresource: str = "") -> Done:
        """Apply an object server-side."""
        path = f"{self._path(content['kind'], content['metadata'], subresource)}?fieldManager={manager}&force=true"
        done = self.request("PATCH", path, content, "apply-patch+yaml")
        assert done.code == 0, done.err
        return done

    def get(self, namespace: str, kind: str, name: str) -> dict[str, Any] | None:
        """Return an object, or None."""
        done = self.request("GET", self._path(kind, {"namespace": namespace, "name": name}))
        if done.code:
            assert done.code == 404, done.err
            return None
        found: dict[str, Any] = json.loads(done.out)
        return found

    def delete(self, namespace: str, kind: str, name: str) -> None:
        """Delete an object."""
        done = self.request("DELETE", self._path(kind, {"namespace": namespace, "name": name}))
        assert done.code == 0, done.err

    def _path(self, kind: str, metadata: dict[str, Any], subresource: str = "") -> str:
        prefix, plural = _PATHS[kind]
        within = (
            "" if kind in ("Namespace", "CustomResourceDefinition") else f"/namespaces/{metadata['namespace']}"
        )
        return f"{prefix}{within}/{plural}/{metadata['name']}{subresource and '/' + subresource}"

    def request(self, verb: str, path: str, content: dict[str, Any] | None = None, kind: str = "json") -> Done:
        """Send one request as admin, which is much faster than kubectl; the output is the answer's text.

        Args:
            verb: Such as ``POST``.
            path: Such as ``/api/v1/namespaces``.
            content: An object.
            kind: ``json``, ``merge-patch+json`` or ``apply-patch+yaml``.
        """
        return self._send(self._connected(), verb, path, content, kind)

    def tls(self) -> ssl.SSLContext:
        """Return what a client of the admin's needs."""
        context = ssl.create_default_context(cadata=self._authority.certificate.decode())
        context.load_cert_chain(self._folder / "admin.crt", self._folder / "admin.key")
        return context

    def _connected(self) -> httpx.Client:
        if self._client is None:
            self._client = httpx.Client(base_url=self.url, verify=self.tls(), timeout=60)
        return self._client

    def _send(self, client: httpx.Client, verb: str, path: str, content: dict[str, Any] | None, kind: str) -> Done:
        headers = {"Content-Type": f"application/{kind}"}
        answer = client.request(verb, path, content=encode(content or {}), headers=headers)
        error = answer.json().get("message", "") if answer.is_error else ""
        return Done(0 if answer.is_success else answer.status_code, answer.text, error)

    def until(self, what: str, condition: Callable[[], Any], seconds: float = PATIENCE) -> Any:
        """Wait until a function returns something true, and return that."""
        deadline = time.monotonic() + seconds
        while not (found := condition()):
            assert time.monotonic() < deadline, f"{what}: not within {seconds} s"
            time.sleep(0.1)
        return found

    def install_crds(self) -> None:
        """Apply the custom resource definitions, and wait until they are served."""
        for path in sorted((REPOSITORY / "crds").glob("*.yaml")):
            self.kubectl("apply", "--server-side", "--force-conflicts", "-f", str(path))
        self.kubectl("wait", "--for=condition=Established", "crd", "--all", "--timeout=100s")
        for plural in ("humaninputs", "humaninputresponses", "notificationtargets", "humaninputpolicies"):
            self.until(plural, functools.partial(self._serves, plural))

    def _serves(self, plural: str) -> bool:
        return self.request("GET", f"{_OURS}/{plural}").code == 0

    def _kubeconfig(self, name: str, user: dict[str, str]) -> Path:
        cluster = {
            "server": self.url,
            "certificate-authority-data": base64.b64encode(self._authority.certificate).decode(),
        }
        content = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "test",
            "clusters": [{"name": "test", "cluster": cluster}],
            "users": [{"name": name, "user": user}],
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": name}}],
        }
        path = self._folder / f"{name.replace('/', '-').replace(':', '-')}.kubeconfig"
        path.write_text(yaml.safe_dump(content))
        return path


class _Authority:
    """Issues certificates, as the cluster's authority does."""

    def __init__(self) -> None:
        self._key = rsa.generate_private_key(65537, 2048)
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test-ca")])
        usage = x509.KeyUsage(True, False, False, False, False, True, True, False, False)
        self._certificate = (
            _builder(self._name, self._name, self._key)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .add_extension(usage, critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(self._key.public_key()), critical=False)
            .sign(self._key, hashes.SHA256())
        )
        self.certificate = self._certificate.public_bytes(serialization.Encoding.PEM)

    def issue(
        self, name: str, groups: Sequence[str], hosts: Sequence[str] = (), lasts: datetime.timedelta = _LASTS
    ) -> tuple[bytes, bytes]:
        """Return the certificate and the key of a user, or of a server on some addresses."""
        import ipaddress

        key = rsa.generate_private_key(65537, 2048)
        subject = x509.Name(
            [
                *(x509.NameAttribute(NameOID.ORGANIZATION_NAME, group) for group in groups),
                x509.NameAttribute(NameOID.COMMON_NAME, name),
            ]
        )
        builder = _builder(subject, self._name, key, lasts).add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False
        )
        if hosts:
            names = [x509.IPAddress(ipaddress.ip_address(host)) for host in hosts]
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        certificate = builder.sign(self._key, hashes.SHA256())
        return certificate.public_bytes(serialization.Encoding.PEM), _private(key)


def _builder(
    subject: x509.Name, issuer: x509.Name, key: rsa.RSAPrivateKey, lasts: datetime.timedelta = _LASTS
) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(minutes=5))
        .not_valid_after(now + lasts)
    )


def _private(key: rsa.RSAPrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _is_up(url: str) -> bool:
    try:
        # Whether it is up, not who it is: the certificate is looked at by every other client.
        return httpx.get(url, verify=False, timeout=2).is_success
    except httpx.HTTPError:
        return False
