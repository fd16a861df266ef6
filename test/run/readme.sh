# readme.sh
#	Brings README.md up to date with what the code really prints: the output of
#	make demo, and a ```text block behind each ```sql block of the walk.
. test/run/lib.sh

build with_llvm=no
start_server server

createdb demo
cat demo/data.sql demo/demo.sql | psql -X -q -v ON_ERROR_STOP=1 -d demo >"$SANDBOX/demo.out" 2>&1
createdb walk
psql -X -q -v ON_ERROR_STOP=1 -d walk -c 'CREATE EXTENSION mlops' -f demo/data.sql
mkdir -p "$SANDBOX/out"
DEMO=$SANDBOX/demo.out perl test/run/fill_in.pl walk README.md >"$SANDBOX/out/README.md"
