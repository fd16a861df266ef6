# Every piece of the install script is in SQL_PIECES, in the order of its number.
pieces=$(make -s -p -n PG_CONFIG="$PG_CONFIG" 2>/dev/null | sed -n 's/^SQL_PIECES :\?= *//p' | tail -n 1 | tr -s ' \t' '\n' | grep .)
diff <(ls sql/install/*.sql) <(printf '%s\n' "$pieces")
