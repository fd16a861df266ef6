# lint.sh
#	The rules of test/lint alone.
. test/run/lib.sh

build COPT=-Werror with_llvm=no
start_server data
bash test/lint/run.sh
