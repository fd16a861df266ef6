# load.sh
#	The load driver of test/load, for SECONDS_OF_LOAD seconds (five minutes), in a server of
#	its own that preloads the library.
. test/run/lib.sh

say "Building"
build COPT=-Werror with_llvm=no
make -C test/load BUILD="$SANDBOX" PG_CONFIG="$PG_CONFIG" >"$SANDBOX/driver.log" 2>&1 ||
	{ cat "$SANDBOX/driver.log" >&2; exit 1; }
SERVER_SETTINGS="shared_preload_libraries = 'mlops'
		max_connections = 100
		max_worker_processes = 20"
start_server server
createdb load
psql -X -q -d load -v ON_ERROR_STOP=1 -c 'CREATE EXTENSION mlops'
status=0
"$SANDBOX/load" -t "${SECONDS_OF_LOAD:-300}" "dbname=load host=$PGHOST port=$PGPORT user=postgres" || status=$?
stop_server
exit $status
