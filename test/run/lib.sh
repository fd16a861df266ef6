# lib.sh
#	What the steps share: build into the sandbox's PostgreSQL, start a server
#	there. Sourced by the steps, which sandbox runs as an unprivileged user in a
#	copy of the tree, with SANDBOX and PG_CONFIG set.
set -euo pipefail

BIN=$("$PG_CONFIG" --bindir)
PGMAJOR=$("$PG_CONFIG" --version | sed 's/^PostgreSQL \([0-9]*\).*/\1/')
PGXS_DIR=$(dirname "$("$PG_CONFIG" --pgxs)")/../..
JOBS=$(nproc 2>/dev/null || echo 2)
export PATH=$BIN:$PATH PGUSER=postgres PGPORT=5432

say() { printf '%s\n' "$*"; }

# Compiles and installs into the sandbox's PostgreSQL; arguments go to make.
build()
{
	local log=$SANDBOX/build.log

	if make -j"$JOBS" all PG_CONFIG="$PG_CONFIG" "$@" >"$log" 2>&1 &&
		make install PG_CONFIG="$PG_CONFIG" "$@" >>"$log" 2>&1; then
		return 0
	fi
	say "The build failed:" >&2
	grep -vE '^(gcc|clang|cc|make)' "$log" | tail -n 40 >&2 || true
	grep -F '***' "$log" >&2 || true
	return 1
}

# start_server NAME [initdb option...]: reached through a socket only, no TCP;
# SERVER_SETTINGS: more lines for postgresql.conf
start_server()
{
	local name=$1

	shift
	PGDATA=$SANDBOX/$name
	export PGDATA PGHOST=$SANDBOX
	initdb -D "$PGDATA" -U postgres -A trust -E UTF8 --locale=C.UTF-8 --no-sync "$@" >"$SANDBOX/$name.log" 2>&1 ||
		{ cat "$SANDBOX/$name.log" >&2; return 1; }
	cat >>"$PGDATA/postgresql.conf" <<-END
		listen_addresses = ''
		unix_socket_directories = '$SANDBOX'
		fsync = off
		timezone = 'UTC'
		${SERVER_SETTINGS:-}
	END
	pg_ctl -D "$PGDATA" -l "$SANDBOX/$name.log" -w start >/dev/null || { cat "$SANDBOX/$name.log" >&2; return 1; }
}

stop_server()
{
	pg_ctl -D "$PGDATA" -m fast -w stop >/dev/null
}
