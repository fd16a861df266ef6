# src/README.md names the files of src in story order: none is missing, none is gone.
[ -f src/README.md ] || { echo "src/README.md is missing"; exit 1; }
grep -oE '`[A-Za-z0-9_/]+\.(c|h|sql)`' src/README.md | tr -d '`' | sort -u | while read -r name; do
	[ -f "src/$name" ] || [ -f "$name" ] || ls src/*/"$name" >/dev/null 2>&1 || echo "src/README.md names $name, which does not exist"
done
for file in $(find src -name '*.c' | sed 's|^src/||' | sort); do
	grep -qE "\`($file|$(basename "$file"))\`" src/README.md || echo "src/README.md does not name $file"
done
