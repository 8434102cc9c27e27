# Pipeline Secrets, run @RUN@: source this in the head job's bash script, before `nextflow run`. It
# records the AWS Batch job, so that the run ends with it, and writes Nextflow's secrets store, so
# that `secrets.NAME` works in config and script. Prerequisites: the AWS CLI, curl, a job role that
# can read this run's copies, and the environment of the launch (PIPELINE_SECRETS_RUN_TOKEN). The
# store is deleted when the script ends.
pipeline_secrets_fail() {
  echo "pipeline-secrets: $1" >&2
  exit 1
}

pipeline_secrets_record() {
  local status
  [ -n "${AWS_BATCH_JOB_ID:-}" ] || return 0
  [ -n "${PIPELINE_SECRETS_RUN_TOKEN:-}" ] ||
    pipeline_secrets_fail "PIPELINE_SECRETS_RUN_TOKEN is not set: pass the launch's environment to the head job"
  # The token is passed on standard input, because other users can see arguments.
  status=$(printf 'header = "Authorization: Bearer %s"\n' "$PIPELINE_SECRETS_RUN_TOKEN" |
    curl --silent --show-error --config - --request PUT --retry 5 --max-time 20 --output /dev/null --write-out '%{http_code}' \
      --header 'Content-Type: application/json' \
      --data "{\"jobId\":\"$AWS_BATCH_JOB_ID\",\"jobQueue\":\"$AWS_BATCH_JQ_NAME\",\"region\":\"@REGION@\"}" \
      '@ENDPOINT@/runs/@RUN@/head-job') || pipeline_secrets_fail "could not record the head job: check that @ENDPOINT@ is reachable"
  [ "$status" = 200 ] || pipeline_secrets_fail "could not record the head job (HTTP $status): launch the run again"
}

# Prints a copy of this run. Without UTF-8 mode, the CLI fails in an image without a UTF-8 locale.
pipeline_secrets_read() {
  PYTHONUTF8=1 PYTHONIOENCODING=UTF-8 aws secretsmanager get-secret-value --region @REGION@ --secret-id "$1" --query SecretString --output "$2" ||
    pipeline_secrets_fail "could not read the $3: see the message of the AWS CLI above. AccessDenied: the head job's role lacks the launch's iam.statements. ResourceNotFound: the run has ended"
}

pipeline_secrets_store() {
  local directory copy name value separator='['
  command -v aws >/dev/null ||
    pipeline_secrets_fail "the AWS CLI (aws) was not found: add it to the head job's image, or to PATH"
  directory=$(umask 077 && mktemp -d "${TMPDIR:-/tmp}/pipeline-secrets.XXXXXXXXXX") ||
    pipeline_secrets_fail "could not create a directory for the store under ${TMPDIR:-/tmp}"
  # shellcheck disable=SC2064 # the directory is known now
  trap "rm -rf -- '$directory'" EXIT
  (
    umask 077
    set -o noclobber
    {
      # The store itself, in fragments.
      for copy in @FRAGMENTS@; do
        value=$(pipeline_secrets_read "$copy" text "secrets store ($copy)") || exit 1
        printf '%s\n' "$value"
        separator=''
      done
      for name in @NAMES@; do
        # As JSON, the CLI's output has the format of the store.
        value=$(pipeline_secrets_read "tower-@RUN@/$name" json "secret $name") || exit 1
        printf '%s{"name":"%s","value":%s}' "$separator" "$name" "$value"
        separator=','
      done
      # Nextflow derives a file name from a hash of the store, which would confirm a guessed value
      # without this random one.
      if [ "$separator" = ',' ]; then
        value=$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')
        printf ',{"name":"PIPELINE_SECRETS_SALT","value":"%s"}]\n' "${value:?}"
      elif [ "$separator" = '[' ]; then
        printf '[]\n'
      fi
    } >"$directory/store.json"
  ) || exit 1
  export NXF_SECRETS_FILE="$directory/store.json"
}

{ pipeline_secrets_trace=${-//[^x]/}; set +x; } 2>/dev/null
pipeline_secrets_record
pipeline_secrets_store
unset -f pipeline_secrets_fail pipeline_secrets_record pipeline_secrets_read pipeline_secrets_store
if [ -n "$pipeline_secrets_trace" ]; then set -x; fi
