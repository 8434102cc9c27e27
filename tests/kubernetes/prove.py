"""Proves the delivery to Kubernetes on a real control plane, with the real script and a real Nextflow.

usage: prove.py KUBECTL CLUSTER NEXTFLOW [NAME...]     needs: root (mounts), openssl, curl

CLUSTER and KUBECTL are the programs of `cluster/`, NEXTFLOW is what `setup-nextflow.sh` installs, and
NAME is a part of the name of a proof. Containers are processes of this machine: see `kube.py`.
"""
import base64
import hashlib
import json
import pathlib
import subprocess
import sys
import tempfile
import time

from kube import ADMIN, Cluster, Kubelet
from service import Service
import compare

ROOT = pathlib.Path(__file__).resolve().parents[2]
NS = "pipelines"
N = f"/api/v1/namespaces/{NS}"
PIPELINE = """
process DIGEST {
  secret 'LINES'
  debug true
  script: 'printf "%s" "$LINES" | sha256sum; echo "other=${PLAIN:-nothing}"'
}
process NOTHING {
  debug true
  script: 'echo "without=${LINES:-nothing}${PLAIN:-nothing}"'
}
process TUNED {
  secret 'PLAIN'
  debug true
  script: 'echo "tuned=$PLAIN"'
}
workflow {
  log.info "head=${params.plain}"
  DIGEST(); NOTHING(); TUNED()
}
"""
ALL_BYTES = "".join(map(chr, range(1, 128))) + "\u00e9\u20ac\U0001f600 $(id) `id` \"\\\n\n"


class Stage:
    """A namespace that was set up as the guide says, and what its pods need."""

    def __init__(self, kubectl, cluster, nextflow):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="kube"))
        self.kubectl_program, self.nextflow = kubectl, nextflow
        self.cluster = Cluster(cluster, self.folder / "cluster")
        self.service = Service()
        self.service.values = {"LINES": ALL_BYTES, "PLAIN": "plain 'value' #"}

    def __enter__(self):
        for name in ("cluster", "pods", "work", "head"):
            (self.folder / name).mkdir()
        self.cluster.start()
        self.kubelet = Kubelet(self.cluster, self.folder / "pods", {
            "PATH": f"{self.nextflow.parent}:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": str(self.folder / "work"),
            "NXF_HOME": str(self.folder / "work" / "nxf"), "NXF_ANSI_LOG": "false",
            "KUBERNETES_SERVICE_HOST": "127.0.0.1", "KUBERNETES_SERVICE_PORT": str(self.cluster.port)})
        (self.folder / "work" / "main.nf").write_text(PIPELINE)
        (self.folder / "work" / "sleep.nf").write_text(
            "process P { secret 'PLAIN'\n script: 'sleep 600' }\nworkflow { P() }\n")
        (self.folder / "work" / "site.config").write_text(
            "params.plain = secrets.PLAIN\nk8s.cleanup = false\n"
            "process.pod = [[label: 'site', value: 'yes']]\n"
            "process { withName: TUNED { pod = [label: 'tuned', value: 'yes'] } }\n")
        self.set_up()
        return self

    def __exit__(self, *_):
        self.kubelet.stop()
        self.cluster.stop()
        subprocess.run(["rm", "-rf", self.folder])

    def kubectl(self, *words, text=None):
        done = subprocess.run([self.kubectl_program, "--kubeconfig", self.cluster.folder / "kubeconfig", "-n", NS, *words],
                              input=text, text=True, capture_output=True)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def set_up(self):
        """The lines of the guide."""
        (self.folder / "run.env").write_text(f"endpoint={self.service.url()}\nworkspace=42\ntoken=user.token\n")
        self.kubectl("create", "namespace", NS)
        self.kubectl("apply", "-f", str(ROOT / "infra/kubernetes/rbac.yaml"))
        config = (ROOT / "infra/kubernetes/nextflow.config").read_text().replace("/work'", f"{self.folder}/work'")
        (self.folder / "nextflow.config").write_text(config + "process.container = 'none'\n")
        self.kubectl("create", "configmap", "nextflow-head", f"--from-file={self.folder}/nextflow.config",
                     f"--from-file={ROOT}/infra/head-job/nextflow-with-secrets")
        self.kubectl("create", "secret", "generic", "pipeline-secrets", f"--from-env-file={self.folder}/run.env")
        self.kubectl("apply", "-f", "-", text=json.dumps({
            "apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "nextflow-work"},
            "spec": {"accessModes": ["ReadWriteMany"], "resources": {"requests": {"storage": "1Gi"}}}}))

    def start(self, args=None, **spec):
        """Creates the example job. Paths are those of this machine."""
        text = (ROOT / "infra/kubernetes/head-job.yaml").read_text()
        text = text.replace("/pipeline-secrets/", f"{self.folder}/head/").replace(
            "mountPath: /pipeline-secrets}", f"mountPath: {self.folder}/head}}").replace(
            "mountPath: /work}", f"mountPath: {self.folder}/work}}").replace(
            "workingDir: /work", f"workingDir: {self.folder}/work")
        words = args or ["nextflow", "-c", f"{self.folder}/head/nextflow.config", "run", "main.nf", "-c", "site.config"]
        lines = [f"          args: {json.dumps(words)}" if line.startswith("          args:") else line
                 for line in text.splitlines()]
        out = self.kubectl("create", "--dry-run=client", "-o", "json", "-f", "-", text="\n".join(lines))
        job = json.loads(out)
        job["spec"].update({key: value for key, value in spec.items() if key != "pod"})
        job["spec"]["template"]["spec"].update(spec.get("pod", {}))
        return self.cluster.call("POST", f"/apis/batch/v1/namespaces/{NS}/jobs", job)["metadata"]["name"]

    def pods(self, job=None):
        items = self.cluster.call("GET", N + "/pods")["items"]
        return [pod for pod in items if job is None or pod["metadata"].get("labels", {}).get("job-name") == job]

    def secrets(self):
        items = self.cluster.call("GET", N + "/secrets")["items"]
        return {one["metadata"]["name"]: one for one in items if one["metadata"]["name"].startswith("tower-")}

    def wait_for_head(self, job, phases=("Succeeded", "Failed"), number=1):
        self.cluster.wait(f"{number} pods of {job} to be {phases}", lambda: len(
            [pod for pod in self.pods(job) if pod["status"].get("phase") in phases]) >= number, 300)
        return [pod for pod in self.pods(job) if pod["status"].get("phase") in phases][-1]

    def wait_for_secret(self):
        self.cluster.wait("the Secret of the run", self.secrets, 120)

    def wait_for_nothing(self, seconds=180):
        begun = time.monotonic()
        self.cluster.wait("the Secrets to be gone", lambda: not self.secrets(), seconds)
        return time.monotonic() - begun

    def delete(self, job):
        self.cluster.call("DELETE", f"/apis/batch/v1/namespaces/{NS}/jobs/{job}", {"propagationPolicy": "Background"})
        for pod in self.pods():
            self.cluster.raw("DELETE", f"{N}/pods/{pod['metadata']['name']}", {"gracePeriodSeconds": 0})


def sleeping(*words):
    return ["nextflow", "run", "sleep.nf", *words]


def runs_a_pipeline(stage, kind):
    extra = ["-c", "jobs.config"] if kind == "Job" else []
    (stage.folder / "work" / "jobs.config").write_text("k8s.computeResourceType = 'Job'\n")
    stage.service.ids = ["RUNwithCAPS" + kind[0] + "01"]
    job = stage.start(["nextflow", "-c", f"{stage.folder}/head/nextflow.config", "run", "main.nf", "-c", "site.config", *extra],
                      ttlSecondsAfterFinished=5)
    head = stage.wait_for_head(job)
    log = stage.kubelet.log(head)
    assert head["status"]["phase"] == "Succeeded", log
    digest = hashlib.sha256(ALL_BYTES.encode()).hexdigest()
    for line in (digest, "other=nothing", "without=nothingnothing", "tuned=plain 'value' #", "head=plain 'value' #"):
        assert line in log, (line, log)
    tasks = [pod for pod in stage.pods() if "nextflow.io/processName" in pod["metadata"].get("labels", {})]
    for pod in tasks:
        labels = pod["metadata"]["labels"]
        name = labels["nextflow.io/processName"]
        refs = [entry["valueFrom"]["secretKeyRef"] for entry in pod["spec"]["containers"][0].get("env", [])
                if "secretKeyRef" in entry.get("valueFrom", {})]
        wanted = {"DIGEST": ["LINES"], "NOTHING": [], "TUNED": ["PLAIN"]}[name]
        assert [ref["key"] for ref in refs] == wanted, (name, refs)
        assert labels.get("tuned" if name == "TUNED" else "site") == "yes", labels
        assert pod["spec"].get("serviceAccountName") == "nextflow-task", pod["spec"]
    assert {pod["metadata"]["labels"]["nextflow.io/processName"] for pod in tasks} == {"DIGEST", "NOTHING", "TUNED"}
    [(run, end)] = [(run, end) for run, end in stage.service.ends.items() if run.startswith("RUNwithCAPS" + kind[0])]
    assert end == {"success": True, "exitStatus": 0}, end
    leaks = subprocess.run(["grep", "-rlF", "-e", "plain 'value' #", "-e", "$(id) `id`", stage.folder / "work"],
                           capture_output=True, text=True).stdout.split()
    # What this pipeline prints is in the output of its tasks and in Nextflow's log.
    printed = (".command.out", ".command.log", ".nextflow.log")
    leaks = [file for file in leaks if not file.removesuffix(".1").endswith(printed)]
    assert not leaks, leaks
    gone = stage.wait_for_nothing()
    return f"as a {kind}, run {run}: every byte arrived; the Secret was gone {gone:.0f} s after the end (TTL 5 s)"


def success_as_pods(stage):
    return runs_a_pipeline(stage, "Pod")


def success_as_jobs(stage):
    return runs_a_pipeline(stage, "Job")


def failure(stage):
    (stage.folder / "work" / "bad.nf").write_text("process P { secret 'UNKNOWN'\n script: 'true' }\nworkflow { P() }\n")
    job = stage.start(["nextflow", "-c", f"{stage.folder}/head/nextflow.config", "run", "bad.nf"], ttlSecondsAfterFinished=1)
    head = stage.wait_for_head(job)
    log = stage.kubelet.log(head)
    assert head["status"]["phase"] == "Failed" and "UNKNOWN" in log, log
    assert list(stage.service.ends.values())[-1]["success"] is False
    stage.wait_for_nothing()
    return "a secret that the run does not have: Nextflow refuses the task and names it"


def begin_sleep(stage, **spec):
    job = stage.start(["nextflow", "-c", f"{stage.folder}/head/nextflow.config", "run", "sleep.nf"], **spec)
    stage.wait_for_secret()
    stage.wait_for_head(job, ("Running",))
    return job


def head_pod_deleted(stage):
    job = begin_sleep(stage)
    before = len(stage.service.ends)
    [pod] = stage.pods(job)
    stage.cluster.call("DELETE", f"{N}/pods/{pod['metadata']['name']}")
    stage.cluster.wait("the end to be reported", lambda: len(stage.service.ends) > before)
    gone = stage.wait_for_nothing()
    stage.delete(job)
    return f"the end was reported; the Secret was gone {gone:.1f} s later"


def node_lost(stage):
    stage.cluster.call("POST", "/api/v1/nodes", {"metadata": {"name": "lost"}})
    job = begin_sleep(stage, pod={"nodeName": "lost"})
    [pod] = stage.pods(job)
    stage.kubelet.running[pod["metadata"]["uid"]].kill()  # nothing on the node runs any more
    stage.kubelet.seen.add(pod["metadata"]["uid"])
    stage.cluster.call("DELETE", "/api/v1/nodes/lost")
    gone = stage.wait_for_nothing(300)
    stage.delete(job)
    return f"the Secret was gone {gone:.0f} s after the node"


def active_deadline(stage):
    before = len(stage.service.ends)
    job = begin_sleep(stage, activeDeadlineSeconds=15)
    stage.cluster.wait("the end to be reported", lambda: len(stage.service.ends) > before)
    gone = stage.wait_for_nothing()
    stage.delete(job)
    return f"the end was reported; the Secret was gone {gone:.1f} s later"


def job_retried(stage):
    before = len(stage.service.claims)
    job = stage.start(["nextflow", "run", "bad.nf"], backoffLimit=1, ttlSecondsAfterFinished=2)
    stage.wait_for_head(job, ("Failed",), 2)
    runs = stage.service.claims[before:]
    assert len(set(runs)) == 2 and all(stage.service.ends[run]["success"] is False for run in runs), runs
    stage.wait_for_nothing()
    return "two attempts are two runs, both reported as failed"


def two_runs(stage):
    stage.service.ids = ["TWOrunsXXXXXX1", "TWOrunsXXXXXX2"]
    jobs = [begin_sleep(stage), begin_sleep(stage)]
    stage.cluster.wait("both Secrets", lambda: len(stage.secrets()) == 2)
    [pod] = stage.pods(jobs[0])
    stage.cluster.call("DELETE", f"{N}/pods/{pod['metadata']['name']}")
    stage.cluster.wait("one Secret", lambda: set(stage.secrets()) == {"tower-tworunsxxxxxx2"} or
                       set(stage.secrets()) == {"tower-tworunsxxxxxx1"})
    stage.service.ids = ["tworunsXXXXXX" + next(iter(stage.secrets()))[-1]]
    third = stage.start(sleeping())
    head = stage.wait_for_head(third, ("Failed",))
    log = stage.kubelet.log(head)
    assert f"the namespace {NS} has a Secret tower-tworunsxxxxxx" in log and log.count("\n") == 1, log
    for job in [*jobs, third]:
        stage.delete(job)
    stage.wait_for_nothing()
    return "each has its Secret; an ID that differs only in case is refused with one line"


def sixty_four_secrets(stage):
    old, stage.service.values = stage.service.values, {f"S{number:02}": "x" * 16_384 for number in range(64)}
    (stage.folder / "work" / "many.nf").write_text(
        "process P { debug true\n secret 'S00'\n secret 'S63'\n script: 'printf %s \"$S00$S63\" | wc -c' }\nworkflow { P() }\n")
    words = ["nextflow", "-c", f"{stage.folder}/head/nextflow.config", "run", "many.nf"]
    head = stage.wait_for_head(stage.start(words, ttlSecondsAfterFinished=1))
    assert head["status"]["phase"] == "Succeeded" and "32768" in stage.kubelet.log(head), stage.kubelet.log(head)
    stage.wait_for_nothing()
    stage.service.values["S64"] = "y"
    head = stage.wait_for_head(stage.start(words, ttlSecondsAfterFinished=5))
    log = stage.kubelet.log(head)
    stage.service.values = old
    assert head["status"]["phase"] == "Failed" and "Too long" in log and log.count("\n") == 1, log
    stage.wait_for_nothing()
    return "64 secrets of 1 MiB arrive; one byte more is refused with one line"


def role_and_quota(stage):
    """What the role must not do, and what the cluster can refuse."""
    token = stage.cluster.call("POST", N + "/serviceaccounts/nextflow-head/token", {"spec": {}})["status"]["token"]
    task = stage.cluster.call("POST", N + "/serviceaccounts/nextflow-task/token", {"spec": {}})["status"]["token"]
    name = N + "/secrets/pipeline-secrets"
    rbac = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{NS}"
    tries = [("GET", name), ("GET", N + "/secrets"), ("GET", N + "/secrets?watch=true"), ("DELETE", name),
             ("DELETE", N + "/secrets"), ("PUT", name), ("PATCH", name), ("GET", "/api/v1/secrets"),
             ("GET", N + "/configmaps"), ("POST", N + "/serviceaccounts/nextflow-head/token"),
             ("POST", rbac + "/rolebindings"), ("PATCH", rbac + "/roles/nextflow-head"),
             ("POST", "/api/v1/namespaces/default/secrets"), ("POST", N + "/pods/x/exec?command=sh"), ("GET", "/api/v1/nodes")]
    refused = [(method, path) for method, path in tries
               if stage.cluster.raw(method, path, {} if method != "GET" else None, token=token)[0] == 403]
    assert refused == tries, set(tries) - set(refused)
    assert stage.cluster.raw("POST", N + "/secrets", {}, token=task)[0] == 403
    assert stage.cluster.raw("GET", N + "/pods", token=task)[0] == 403

    def fails(words, **spec):
        before = dict(stage.service.ends)
        job = stage.start(sleeping(), ttlSecondsAfterFinished=5, **spec)
        head = stage.wait_for_head(job, ("Failed",))
        log = stage.kubelet.log(head)
        assert words in log and log.count("\n") == 1, log
        stage.wait_for_nothing()
        return {run: end for run, end in stage.service.ends.items() if run not in before}

    quota = {"metadata": {"name": "few"}, "spec": {"hard": {"secrets": "1"}}}
    stage.cluster.call("POST", N + "/resourcequotas", quota)
    stage.cluster.wait("the quota", lambda: stage.cluster.call(
        "GET", N + "/resourcequotas/few").get("status", {}).get("used"))
    ends = fails("exceeded quota: few")
    assert [end["success"] for end in ends.values()] == [False], ends
    stage.cluster.call("DELETE", N + "/resourcequotas/few")
    assert fails("this pod has no service account", pod={"serviceAccountName": "nextflow-task"}) == {}
    stage.cluster.call("POST", N + "/serviceaccounts", {"metadata": {"name": "powerless"}})
    ends = fails("cannot create resource 'secrets'", pod={"serviceAccountName": "powerless"})
    assert [end["success"] for end in ends.values()] == [False], ends
    return f"{len(tries)} requests refused; a quota, a missing account and a missing right are one line each"


def stand_in_answers_alike(stage):
    return compare.compare(stage.cluster, NS)


PROOFS = [stand_in_answers_alike, role_and_quota, success_as_pods, success_as_jobs, failure, head_pod_deleted, node_lost,
          active_deadline, job_retried, two_runs, sixty_four_secrets]


def main():
    kubectl, cluster, nextflow, *names = sys.argv[1:]
    failed = 0
    with Stage(*(pathlib.Path(path).resolve() for path in (kubectl, cluster, nextflow))) as stage:
        for proof in PROOFS:
            if names and not any(name in proof.__name__ for name in names):
                continue
            begun = time.monotonic()
            try:
                outcome = proof(stage)
            except Exception as error:  # the next proof can still hold
                failed += 1
                outcome = f"FAILED: {type(error).__name__}: {error}"
                for job in stage.cluster.call("GET", f"/apis/batch/v1/namespaces/{NS}/jobs")["items"]:
                    stage.delete(job["metadata"]["name"])
            print(f"{proof.__name__} ({time.monotonic() - begun:.0f} s): {outcome}", flush=True)
    sys.exit(failed != 0)


if __name__ == "__main__":
    main()
