# A client of asvt-chat for Linux on x86-64, without a library:
#   gcc -nostdlib -static -o client client.s && ./client 127.0.0.1 31337
# Type commands: send Bob hello there
        .intel_syntax noprefix
        .equ READ, 0                    # the numbers of the system calls
        .equ WRITE, 1
        .equ SOCKET, 41
        .equ CONNECT, 42
        .equ EXIT, 60
        .equ LINE_MAX, 4096

        .bss
line:   .skip LINE_MAX                  # what was typed
command: .skip LINE_MAX + 16            # the frames of a command
frame:  .skip 65536                     # a frame of a reply: the longest that this client reads
length: .skip 4

        .data
address: .word 2                        # a sockaddr_in: AF_INET,
port:   .word 0                         # the port, the highest byte first,
host:   .byte 0, 0, 0, 0                # and the address
        .quad 0
newline: .byte 10
closed: .ascii "The server has closed the connection.\n"
        .equ CLOSED_BYTES, . - closed

        .text
        .globl _start
_start:
        cmp qword ptr [rsp], 3          # the number of arguments, with the name of the program
        jne fail
        mov rsi, [rsp + 16]             # 127.0.0.1
        lea rdi, host[rip]
        mov r8d, 4
part:   call number
        mov [rdi], al
        inc rdi
        dec r8d
        jnz part
        mov rsi, [rsp + 24]             # 31337
        call number
        xchg al, ah
        mov port[rip], ax
        mov eax, SOCKET
        mov edi, 2                      # AF_INET
        mov esi, 1                      # SOCK_STREAM
        xor edx, edx
        syscall
        mov r15d, eax                   # r15: the socket
        mov eax, CONNECT
        mov edi, r15d
        lea rsi, address[rip]
        mov edx, 16
        syscall
        test eax, eax
        jnz fail

next_line:
        call read_line                  # r12: the text of the line, r13: its length
        lea rdi, command[rip]           # rdi: the end of the frames
        mov r14d, 1                     # r14: the arguments that may follow
        cmp r13d, 5
        jb next_word
        cmp dword ptr [r12], 0x646e6573 # "send", the lowest byte first
        jne next_word
        cmp byte ptr [r12 + 4], ' '
        jne next_word
        mov r14d, 2
next_word:
        xor ecx, ecx                    # ecx: the length of the next word
        test r14d, r14d
        jz last
letter: cmp ecx, r13d
        je last
        cmp byte ptr [r12 + rcx], ' '
        je found
        inc ecx
        jmp letter
found:  call add_frame
        inc r12                         # the blank
        dec r13d
        dec r14d
        jmp next_word
last:   mov ecx, r13d                   # the rest of the line
        call add_frame
        lea rsi, command[rip]           # one write for the whole command
        mov rdx, rdi
        sub rdx, rsi
        mov edi, r15d
        call write_all

        call read_frame                 # eax: the number in it, 0 if it is none
        mov r14d, eax
        lea rsi, command[rip]
        mov ecx, [rsi]                  # the length of the command
        mov edx, [rsi + 4]              # its first four letters
        cmp edx, 0x72657375             # "user": each item is one frame
        je items
        add r14d, r14d                  # a sender and a text
        cmp edx, 0x65636572             # "rece"
        je items
        cmp edx, 0x74696177             # "wait"
        jne next_line
items:  test r14d, r14d
        jz next_line
        call read_frame
        dec r14d
        jmp items

fail:   mov edi, 2
        jmp exit
done:   xor edi, edi
exit:   mov eax, EXIT
        syscall

# Reads the number at rsi into eax. rsi is behind it and the next sign then.
number: xor eax, eax
digit:  movzx ecx, byte ptr [rsi]
        inc rsi
        sub ecx, '0'
        cmp ecx, 9
        ja ready
        imul eax, eax, 10
        add eax, ecx
        jmp digit
ready:  ret

# Reads a line: r12 is its start, r13 its length without the line end. Ends the program at the end.
read_line:
        lea r12, line[rip]
        xor r13d, r13d
sign:   xor eax, eax                    # READ
        xor edi, edi                    # from the keyboard, one byte
        lea rsi, [r12 + r13]
        mov edx, 1
        syscall
        cmp rax, 1
        jne done
        mov al, [r12 + r13]
        cmp al, 10
        je ready
        cmp al, 13
        je sign
        cmp r13d, LINE_MAX - 1
        je sign                         # what is too long is cut
        inc r13d
        jmp sign

# Adds a frame at rdi: the length in ecx, the lowest byte first, as this processor stores a number,
# and as many bytes from r12 on. r12 is behind them then, and r13 smaller by as many.
add_frame:
        mov [rdi], ecx
        add rdi, 4
        sub r13d, ecx
        mov rsi, r12
        rep movsb
        mov r12, rsi
        ret

# Writes rdx bytes from rsi on to edi. A write may take only a part of them.
write_all:
        mov eax, WRITE
        syscall
        cmp rax, 0
        jle gone
        add rsi, rax
        sub rdx, rax
        jnz write_all
        ret

# Reads exactly edx bytes to rsi. A read returns as many as have come, often fewer.
read_exactly:
        test edx, edx
        jz ready
        xor eax, eax                    # READ
        mov edi, r15d
        syscall
        cmp rax, 0
        jle gone
        add rsi, rax
        sub edx, eax
        jmp read_exactly

gone:   mov edi, 2
        lea rsi, closed[rip]
        mov edx, CLOSED_BYTES
        mov eax, WRITE
        syscall
        mov edi, 1
        jmp exit

# Reads a frame and prints it. Returns the number in it; 0 if it is no number: a refusal is one frame
# in place of a count.
read_frame:
        lea rsi, length[rip]
        mov edx, 4
        call read_exactly
        mov ebx, length[rip]
        cmp ebx, 65535
        ja gone
        lea rsi, frame[rip]
        mov byte ptr [rsi + rbx], 0     # the end of a number
        mov edx, ebx
        call read_exactly
        mov edi, 1
        lea rsi, frame[rip]
        mov edx, ebx
        test edx, edx
        jz empty
        call write_all
empty:  mov edi, 1
        lea rsi, newline[rip]
        mov edx, 1
        call write_all
        lea rsi, frame[rip]
        jmp number
