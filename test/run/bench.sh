# bench.sh
#	The ratios that mlops promises, measured side by side in interleaved runs.
#	Prints a table and brings docs/benchmarks.md up to date with it.
#	BENCH_ROWS=100000 and BENCH_RUNS=3 make a quick try of it.
. test/run/lib.sh

PYTHON=/usr/bin/python3
$PYTHON -c 'import sklearn, psycopg2' 2>/dev/null || PYTHON=python3

say "Building as for an installation"
build
SERVER_SETTINGS="shared_buffers = 2GB
		max_wal_size = 4GB
		max_connections = 120
		fsync = on
		autovacuum = off
		max_parallel_workers_per_gather = 0"
start_server server
createdb bench
psql -X -q -d bench -v ON_ERROR_STOP=1 -c 'CREATE EXTENSION mlops' -v rows="${BENCH_ROWS:-1000000}" -f test/bench/data.sql
$PYTHON test/bench/bench.py >"$SANDBOX/results.md"
cat "$SANDBOX/results.md"
stop_server

if [ "${BENCH_ROWS:-1000000}" = 1000000 ]; then
	mkdir -p "$SANDBOX/out/docs"
	awk -v results="$SANDBOX/results.md" '
		/^<!-- results/ {print; while ((getline line < results) > 0) print line; skipping = 1; next}
		/^<!-- end of results/ {skipping = 0}
		!skipping' docs/benchmarks.md >"$SANDBOX/out/docs/benchmarks.md"
fi
