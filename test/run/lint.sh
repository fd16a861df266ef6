# lint.sh
#	The rules of test/lint alone.
. test/run/lib.sh

build COPT=-Werror with_llvm=no
start_server server
bash test/lint/run.sh
