#!/usr/bin/env bash
# Sets up a complete Nextflow (local and grid executors, local secrets) from Maven Central only.
# usage: setup-nextflow.sh DIR [24.10.0|25.04.4]     needs: JDK 17 or later, mvn
# Result: DIR/nextflow, which runs offline. An existing installation is kept.
set -euo pipefail
case ${1:-} in '' | -*) sed -n '2,4s/^# //p' "$0" >&2; exit 64 ;; esac
dir=$(realpath -m "$1") version=${2:-25.04.4}
[[ $(cat "$dir/version" 2>/dev/null) == "$version" ]] && exit 0
rm -rf "$dir"
mkdir -p "$dir/shim"
cd "$dir"

extra='' excluded=''
if [[ $version == 25.04.* ]]; then
  # Not published there: nf-lang 25.04.4 (25.04.0 has the same interface) and io.seqera:lib-trace
  # (written below).
  extra='<dependency><groupId>io.nextflow</groupId><artifactId>nf-lang</artifactId><version>25.04.0</version></dependency>'
  excluded='<exclusions><exclusion><groupId>io.seqera</groupId><artifactId>lib-trace</artifactId></exclusion></exclusions>'
fi
cat >pom.xml <<POM
<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion>
 <groupId>local</groupId><artifactId>nextflow-from-jars</artifactId><version>1</version><packaging>pom</packaging>
 <dependencies>
  <dependency><groupId>io.nextflow</groupId><artifactId>nextflow</artifactId><version>$version</version>$excluded</dependency>
  $extra
 </dependencies>
</project>
POM
mvn -q -B -ntp org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy-dependencies \
  -DincludeScope=runtime -DoutputDirectory="$dir/lib"

if [[ $version == 25.04.* ]]; then
  mkdir -p shim/io/seqera/util/trace
  cat >shim/io/seqera/util/trace/TraceUtils.java <<'JAVA'
package io.seqera.util.trace;

import java.util.concurrent.ThreadLocalRandom;

/** The only method of io.seqera:lib-trace that Nextflow calls: a random W3C traceparent. */
public class TraceUtils {
    public static String rndTrace() {
        var random = ThreadLocalRandom.current();
        return String.format("00-%016x%016x-%016x-01", random.nextLong(), random.nextLong(), random.nextLong());
    }
}
JAVA
  javac --release 17 -d shim/classes shim/io/seqera/util/trace/TraceUtils.java
  jar cf lib/lib-trace-shim.jar -C shim/classes .
fi

cat >nextflow <<'SH'
#!/usr/bin/env bash
# Replaces Nextflow's launcher: the same JVM options, jars from the lib folder next to it, offline.
here=$(cd "$(dirname "$(realpath "${BASH_SOURCE[0]}")")" && pwd)
export NXF_HOME=${NXF_HOME:-$here/home} NXF_OFFLINE=${NXF_OFFLINE:-true} NXF_ANSI_LOG=${NXF_ANSI_LOG:-false}
export NXF_DISABLE_CHECK_LATEST=true
unset JAVA_TOOL_OPTIONS
opens=()
for package in java.lang java.io java.nio java.net java.util java.util.regex java.util.concurrent.locks \
  java.util.concurrent.atomic java.nio.file.spi sun.nio.ch sun.nio.fs sun.net.www.protocol.http \
  sun.net.www.protocol.https sun.net.www.protocol.ftp sun.net.www.protocol.file jdk.internal.misc jdk.internal.vm; do
  opens+=("--add-opens=java.base/$package=ALL-UNNAMED")
done
# shellcheck disable=SC2086 # NXF_OPTS is a list of words
exec java "${opens[@]}" -Dfile.encoding=UTF-8 -Djava.awt.headless=true -XX:+UseSerialGC -XX:TieredStopAtLevel=1 \
  ${NXF_OPTS:-} -cp "$here/lib/*" nextflow.cli.Launcher "$@"
SH
chmod +x nextflow
./nextflow -version
echo "$version" >version
