#!/usr/bin/env bash
# Compiles the executor "batchlike" for a Nextflow from setup-nextflow.sh: nf-batchlike@0.1.0.
# usage: install.sh NEXTFLOW_DIR NXF_HOME [PLUGIN_REQUIRES, by default >=24.10.0]
set -euo pipefail
[[ $# -ge 2 ]] || { sed -n '2,3s/^# //p' "$0" >&2; exit 64; }
here=$(cd "$(dirname "$0")" && pwd)
nextflow=$(realpath "$1") plugin=$(realpath -m "$2")/plugins/nf-batchlike-0.1.0
rm -rf "$plugin"
mkdir -p "$plugin/classes/META-INF" "$plugin/lib"
javac --release 17 -proc:none -cp "$nextflow/lib/*" -d "$plugin/classes" "$here"/*.java
printf '%s\n' 'Manifest-Version: 1.0' 'Plugin-Class: test.batchlike.BatchLikePlugin' 'Plugin-Id: nf-batchlike' \
  'Plugin-Version: 0.1.0' "Plugin-Requires: ${3:->=24.10.0}" 'Plugin-Provider: test' '' \
  >"$plugin/classes/META-INF/MANIFEST.MF"
echo test.batchlike.BatchLikeExecutor >"$plugin/classes/META-INF/extensions.idx"
