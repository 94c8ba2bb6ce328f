#!/bin/sh
# build.sh JARS: makes launcher.jar and loopback.jar anew from the sources beside it. JARS is the folder of Flink's jars that the
# first run on Flink fills (it says where). The same bytes every time with one javac.
set -e
cd "$(dirname "$0")"
classes=$(mktemp -d)
trap 'rm -r "$classes"' EXIT
javac --release 11 -cp "$1/*" -d "$classes" Launcher.java org/apache/beam/sdk/fn/server/ServerFactory.java
rm -f launcher.jar loopback.jar
date=2026-01-01T00:00:00Z
jar --create --no-manifest --date "$date" --file launcher.jar -C "$classes" Launcher.class
jar --create --no-manifest --date "$date" --file loopback.jar -C "$classes" org
