# A link of a markdown file to another file of the project leads to one that exists.
for file in *.md docs/*.md src/*.md; do
	grep -oE '\]\([^)#]+' "$file" | sed 's/](//' | grep -v '://' | sort -u | while read -r link; do
		[ -e "$(dirname "$file")/$link" ] || echo "$file: $link does not exist"
	done
done
