# check.sh
#	Every test there is, on servers of its own: lint rules, unit tests in C,
#	regression tests under the default and under an ICU collation, isolation
#	tests, the documentation's examples, TAP. Ends with "N passed, N failed",
#	counted from what the suites printed, and fails if a suite did not run.
#	CHECK="regress tap" runs some of the suites only.
. test/run/lib.sh

PASSED=0
FAILED=0
SUITES=${CHECK:-lint unit regress isolation examples icu tap}
SUMMARY=
SINCE=$SECONDS

# tally SUITE PASSED FAILED: a suite without a single result has failed; it
# took the time since the suite before
tally()
{
	local suite=$1 passed=$2 failed=$3

	if [ $((passed + failed)) = 0 ]; then
		say "$suite: no test ran"
		failed=1
	fi
	PASSED=$((PASSED + passed))
	FAILED=$((FAILED + failed))
	SUMMARY+=$(printf '%-26s %5d passed %5d failed %5d s' "$suite" "$passed" "$failed" $((SECONDS - SINCE)))$'\n'
	SINCE=$SECONDS
}

count() { grep -cE "$1" "$2" || true; }

# tally_output SUITE FILE STATUS: lines "ok ..." and "not ok ..." (TAP, and ours)
tally_output()
{
	local suite=$1 file=$2 status=$3 passed failed

	passed=$(count '^ *ok\b' "$file")
	failed=$(count '^ *not ok\b' "$file")
	[ "$status" != 0 ] && [ "$failed" = 0 ] && failed=1
	tally "$suite" "$passed" "$failed"
}

# pg_regress before 16 says "test x ... ok  12 ms", from 16 on "ok 1 - x 12 ms"
run_regress()
{
	local suite=$1 log=$SANDBOX/$1.out passed failed

	shift
	rm -rf regression.diffs regression.out results
	{ make installcheck PG_CONFIG="$PG_CONFIG" TAP_TESTS= "$@" 2>&1 || say '*** the suite failed'; } |
		tee "$log" | grep -E '\.\.\. |^(not )?ok|\*\*\*' || true
	passed=$(count '^(test .*|.*) \.\.\. +ok\b|^ok [0-9]+' "$log")
	failed=$(count '\.\.\. +FAILED|^not ok [0-9]+' "$log")
	if grep -q '\*\*\*' "$log" && [ "$failed" = 0 ]; then
		failed=1
		tail -n 30 "$log"
	fi
	if [ -s regression.diffs ]; then
		say "---- differences ($suite) ----"
		head -c 200000 regression.diffs
	fi
	tally "$suite" "$passed" "$failed"
}

run_lint()
{
	local status=0

	bash test/lint/run.sh 2>&1 | tee "$SANDBOX/lint.out" || status=$?
	tally_output lint "$SANDBOX/lint.out" $status
}

run_unit()
{
	local status=0

	make -C test/unit check >"$SANDBOX/unit.out" 2>&1 || status=$?
	grep -vE '^(make|ok|cc|gcc)' "$SANDBOX/unit.out" || true
	tally_output unit "$SANDBOX/unit.out" $status
}

run_examples()
{
	local status=0

	bash test/run/examples.sh 2>&1 | tee "$SANDBOX/examples.out" || status=$?
	tally_output examples "$SANDBOX/examples.out" $status
}

# one file of TAP tests; what it said and its status are left in files
run_tap_file()
{
	local file=$1 log=$2 status=0 since=$SECONDS

	PERL5LIB=$PGXS_DIR/src/test/perl TESTDIR=$SANDBOX/tap MLOPS_DATA=${MLOPS_DATA:-$SANDBOX/data} \
		PG_REGRESS=$PGXS_DIR/src/test/regress/pg_regress PGPORT=65432 \
		perl -I test/t "$file" >"$log" 2>&1 || status=$?
	echo $status $((SECONDS - since)) >"$log.status"
	say "$file: $(count '^ok\b' "$log") ok, $(count '^not ok\b' "$log") not ok"
}

report_tap_file()
{
	local file=$1 log=$2 status=1 seconds=0

	[ ! -s "$log.status" ] || read -r status seconds <"$log.status"
	SINCE=$((SECONDS - seconds))
	grep -E '^(ok|not ok)\b.*# *(SKIP|skip)|^1\.\.0' "$log" | sed "s|^|$file: |" || true
	if [ "$status" != 0 ]; then
		say "---- $file ----"
		grep -v '^ok' "$log" | tail -n 40 || true
		tail -n 30 "$SANDBOX/tap/tmp_check/log/regress_log_$(basename "$file" .pl)" || true
	fi
	if grep -q '^1\.\.0' "$log" && [ "$status" = 0 ]; then
		SUMMARY+=$(printf '%-26s skipped: %s' "tap" "$(basename "$file")")$'\n'
	else
		tally_output "tap $(basename "$file" .pl)" "$log" "$status"
	fi
}

# as many files at a time as there are processors; each has servers of its own
run_tap()
{
	local file

	mkdir -p "$SANDBOX/tap"
	for file in test/t/*.pl; do
		while [ "$(jobs -pr | wc -l)" -ge "$((JOBS < 4 ? JOBS : 4))" ]; do
			wait -n || true
		done
		run_tap_file "$file" "$SANDBOX/$(basename "$file").out" &
	done
	wait
	for file in test/t/*.pl; do
		report_tap_file "$file" "$SANDBOX/$(basename "$file").out"
	done
}

wants() { [[ " $SUITES " == *" $1 "* ]]; }

say "PostgreSQL $("$PG_CONFIG" --version | sed 's/^PostgreSQL //'); building with -Werror"
if ! build COPT=-Werror; then
	say "0 passed, 1 failed"
	exit 1
fi

say "Built in $SECONDS s"
SINCE=$SECONDS

start_server server
say "Tests on a server with collation C.UTF-8"
wants lint && run_lint
wants unit && run_unit
wants regress && run_regress regress ISOLATION=
if wants isolation; then
	if [ -x "$PGXS_DIR/src/test/isolation/pg_isolation_regress" ]; then
		run_regress isolation REGRESS=
	else
		SUMMARY+="isolation                  skipped: this server comes without pg_isolation_regress"$'\n'
	fi
fi
wants examples && run_examples
stop_server

if wants icu; then
	if [ "$PGMAJOR" -ge 15 ]; then
		say "Regression tests on a server whose default collation is ICU's German"
		start_server server_icu --locale-provider=icu --icu-locale=de
		run_regress regress-icu ISOLATION=
		stop_server
	else
		SUMMARY+="regress-icu                skipped: a server's default collation can be ICU's from PostgreSQL 15 on"$'\n'
	fi
fi

if wants tap; then
	say "Tests with servers of their own (test/t)"
	run_tap
fi

say ""
printf '%s' "$SUMMARY"
say "$PASSED passed, $FAILED failed"
[ "$FAILED" = 0 ]
