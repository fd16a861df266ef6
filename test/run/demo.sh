# demo.sh
#	The story of demo/demo.sql in a database of its own; on the Telco churn data
#	if the sandbox was given a folder with them (make demo DATA=folder).
. test/run/lib.sh

tree=$PWD
say "Building (about half a minute) ..."
build with_llvm=no
start_server server
createdb demo
if [ -d "$SANDBOX/data" ]; then
	cd "$SANDBOX/data"
	data=$tree/demo/telco.sql
else
	data=$tree/demo/data.sql
fi
cat "$data" "$tree/demo/demo.sql" | psql -X -q -v ON_ERROR_STOP=1 -d demo 2>&1
say "The demo's server and its data are gone now. README.md tells how to install mlops into yours."
