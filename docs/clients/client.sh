#!/usr/bin/env bash
# A client of asvt-chat: bash client.sh [host] [port]. Type commands: send Bob hello there
LC_ALL=C # now ${#text} counts bytes, not letters
exec 3<> "/dev/tcp/${1:-127.0.0.1}/${2:-31337}" || exit 1

# Adds a frame to $command: 4 bytes of length, the lowest first, then the bytes.
add_frame() {
  local text=$1 size=${#1} bytes
  printf -v bytes '\\x%02x' $((size & 255)) $((size >> 8 & 255)) $((size >> 16 & 255)) $((size >> 24))
  command+=$bytes${text//\\/\\\\}
}

# Reads a frame, prints it, and leaves it in $text. head reads exactly as many bytes as it is told.
read_frame() {
  local bytes
  read -r -a bytes < <(head -c 4 <&3 | od -An -v -tu1)
  if [ ${#bytes[@]} -lt 4 ]; then
    echo "The server has closed the connection." >&2
    exit 1
  fi
  text=$(head -c $((bytes[0] | bytes[1] << 8 | bytes[2] << 16 | bytes[3] << 24)) <&3 | tr -d '\0'; echo .)
  text=${text%.}
  printf '%s\n' "$text"
}

while IFS= read -r line; do
  line=${line%$'\r'}
  name=${line%% *}
  command=
  # "send" has two arguments, all others have one or none.
  [ "$name" = send ] && words=2 || words=1
  while [ $words -gt 0 ] && [[ $line == *" "* ]]; do
    add_frame "${line%% *}"
    line=${line#* }
    words=$((words - 1))
  done
  add_frame "$line"
  # One write for the whole command: TCP delays small writes that follow each other.
  printf '%b' "$command" >&3
  read_frame
  # A list begins with a count. A refusal is one frame in its place, so look before you count.
  [[ $text =~ ^[0-9]+$ ]] || continue
  case $name in
    users) count=$text ;;
    receive | wait) count=$((2 * text)) ;;
    *) count=0 ;;
  esac
  while [ "$count" -gt 0 ]; do
    read_frame
    count=$((count - 1))
  done
done
