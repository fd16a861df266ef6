# run.sh
#	Runs every rule of this folder: a script named for its rule, which prints
#	what breaks it and fails, or prints nothing. Needs a built tree and, for
#	rules about SQL objects, a server on PGHOST with the extension installed.
status=0
createdb mlops_lint && psql -X -q -d mlops_lint -c 'CREATE EXTENSION mlops' || exit 1
export PGDATABASE=mlops_lint

for rule in test/lint/*.sh; do
	[ "$rule" = test/lint/run.sh ] && continue
	name=$(basename "$rule" .sh | tr _ ' ')
	found=$(bash "$rule" 2>&1) && failed=0 || failed=1
	if [ $failed = 0 ] && [ -z "$found" ]; then
		echo "ok - $name"
	else
		echo "not ok - $name"
		printf '%s\n' "$found" | sed 's/^/#   /'
		status=1
	fi
done
dropdb mlops_lint
exit $status
