# bench.sh
#	The ratios that mlops promises, measured side by side in interleaved runs.
#	Prints tables, and brings docs/benchmarks.md up to date with them when all
#	parts were measured at full size.
#	ONLY="forest bayes": some parts only, named in docs/benchmarks.md
#	ROWS=100000 RUNS=1: a quick try
. test/run/lib.sh

PYTHON=/usr/bin/python3
$PYTHON -c 'import sklearn, xgboost, psycopg2' 2>/dev/null || PYTHON=python3

say "Building as for an installation"
build
# a table of more than a quarter of shared_buffers is read past them
case " ${ONLY:-all} " in
	*[\ ,]growth[\ ,]*|*[\ ,]all[\ ,]*|*[\ ,]learners[\ ,]*) BUFFERS=6GB ;;
	*) BUFFERS=2GB ;;
esac
# the log, shadows and the statistics need their library preloaded
case " ${ONLY:-all} " in
	*[\ ,]log[\ ,]*|*[\ ,]shadow[\ ,]*|*[\ ,]statistics[\ ,]*|*[\ ,]all[\ ,]*) PRELOAD=mlops ;;
	*) PRELOAD= ;;
esac
SERVER_SETTINGS="shared_preload_libraries = '$PRELOAD'
		shared_buffers = $BUFFERS
		max_wal_size = 4GB
		max_connections = 120
		fsync = on
		autovacuum = off
		synchronize_seqscans = off
		max_parallel_workers_per_gather = 0"
start_server server
createdb bench
psql -X -q -d bench -v ON_ERROR_STOP=1 -c 'CREATE EXTENSION mlops'
status=0
# threads of the others that wait must not spin: the backend and other programs need the processors
OMP_WAIT_POLICY=passive OMP_NUM_THREADS=2 OPENBLAS_NUM_THREADS=2 $PYTHON test/bench/bench.py >"$SANDBOX/results.md" || status=$?
cat "$SANDBOX/results.md"
stop_server

if [ "${ROWS:-1000000}" = 1000000 ] && [ "${ONLY:-all}" = all ] && [ $status = 0 ]; then
	mkdir -p "$SANDBOX/out/docs"
	awk -v results="$SANDBOX/results.md" '
		/^<!-- results/ {print; while ((getline line < results) > 0) print line; skipping = 1; next}
		/^<!-- end of results/ {skipping = 0}
		!skipping' docs/benchmarks.md >"$SANDBOX/out/docs/benchmarks.md"
fi
exit $status
