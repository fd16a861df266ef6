# The tour of the house names what is there: every folder of src, and no file that is gone.
[ -f src/README.md ] || { echo "src/README.md is missing"; exit 1; }
grep -oE '`[A-Za-z0-9_/]+\.(c|h|sql)`' src/README.md | tr -d '`' | sort -u | while read -r name; do
	[ -f "src/$name" ] || [ -f "$name" ] || ls src/*/"$name" >/dev/null 2>&1 || echo "src/README.md names $name, which does not exist"
done
for folder in src/*/; do
	grep -q "\`$(basename "$folder")/" src/README.md || echo "src/README.md does not name the folder $folder"
done
