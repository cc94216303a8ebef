#!/usr/bin/env bash
# Scans $TARGET, writes all reports into $FOLDER, and says what came of it. It ends well whatever the policy says: the
# action's last step fails, once everything is written and uploaded.
set -euo pipefail

case "$FOLDER" in
    *$'\n'* | "") echo "::error::the input folder is no path" && exit 2 ;;
esac
mkdir -p "$FOLDER"
reports=(json=cgscan.json sarif=cgscan.sarif markdown=cgscan.md html=cgscan.html)
arguments=(scan)

# One argument for each line of a text; before each its option, if there is one.
take() {
    local option=$1 line
    while IFS= read -r line || [ -n "$line" ]; do
        line=${line%$'\r'}
        [ -z "$line" ] || arguments+=(${option:+"$option"} "$line")
    done <<<"$2"
}

take --index "$INDEX"
take --upstream "$UPSTREAM"
take --config "$CONFIG"
take --min-coverage "$MIN_COVERAGE"
take --fail-on "$FAIL_ON"
take --platform "$PLATFORM"
take "" "$ARGS"
arguments+=(-o table)
for report in "${reports[@]}"; do
    rm -f "$FOLDER/${report#*=}"
    arguments+=(-o "${report%%=*}=$FOLDER/${report#*=}")
done
arguments+=(--)
take "" "$TARGET"

# The runner obeys lines of a log that start with ::, and names out of an image stand in it: they command nothing until
# the token is said, which nobody can guess.
token=$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')
echo "::stop-commands::$token"
status=0
PYTHONPATH="$CHECKOUT" PYTHONSAFEPATH=1 PYTHONDONTWRITEBYTECODE=1 "$PYTHON" -m scanner "${arguments[@]}" || status=$?
echo "::$token::"

echo "status=$status" >>"$GITHUB_OUTPUT"
for report in "${reports[@]}"; do
    [ ! -s "$FOLDER/${report#*=}" ] || echo "${report%%=*}=$FOLDER/${report#*=}" >>"$GITHUB_OUTPUT"
done
if [ -s "$FOLDER/cgscan.json" ]; then
    "$PYTHON" -c 'import json, sys
report = json.load(open(sys.argv[1], encoding="utf-8"))
first = report[0] if isinstance(report, list) else report
coverage = first["summary"]["coverage"]
print("coverage=" + ("" if coverage is None else format(coverage, "g")))' "$FOLDER/cgscan.json" >>"$GITHUB_OUTPUT"
fi
if [ "$SUMMARY" = true ]; then
    if [ -s "$FOLDER/cgscan.md" ]; then
        cat "$FOLDER/cgscan.md" >>"$GITHUB_STEP_SUMMARY"
    else
        echo "**cgscan** did not run to the end (exit status $status); the log of the step says why." >>"$GITHUB_STEP_SUMMARY"
    fi
fi
