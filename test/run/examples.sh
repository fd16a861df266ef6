# examples.sh
#	The SQL in README.md and docs/ is run: every ```sql block of a file in
#	order, in a database of that file's own with the demo's tables. A block that
#	fails fails the file. Blocks of other kinds (```text, ```sh) are not run. What
#	a page takes for granted stands in a comment that readers do not see, from a
#	line "<!-- sql" to a line "-->". The queries of docs/grafana are run, too.
. test/run/lib.sh

status=0
number=0
for file in README.md CONTRIBUTING.md docs/*.md; do
	[ -f "$file" ] || continue
	number=$((number + 1))
	sql=$SANDBOX/example_$number.sql
	awk '/^(```sql|<!-- sql)$/ {inside = 1; printf "\\echo %s:%d\n", FILENAME, FNR; next}
		 /^(```|-->)/ {inside = 0; next}
		 inside' "$file" >"$sql"
	[ -s "$sql" ] || continue
	if [ "$file" = docs/monitoring.md ]; then
		# those of the dashboard and of the exporter, in the database that the page has filled
		perl test/run/queries.pl docs/grafana churn >"$sql.queries" || { say "not ok - docs/grafana can be read"; status=1; }
		cat "$sql.queries" >>"$sql"
	fi
	createdb "example_$number"
	psql -X -q -v ON_ERROR_STOP=1 -d "example_$number" -c 'CREATE EXTENSION mlops' -f demo/data.sql >"$sql.out" 2>&1 ||
		{ cat "$sql.out"; status=1; }
	if psql -X -q -v ON_ERROR_STOP=1 -d "example_$number" -f "$sql" >"$sql.out" 2>&1; then
		say "ok - the SQL in $file runs ($(grep -c '^\\echo' "$sql") blocks)"
	else
		say "not ok - the SQL in $file runs"
		tail -n 5 "$sql.out" | sed 's/^/# /'
		status=1
	fi
	dropdb "example_$number"
done
exit $status
