# Forms of instructions that `support/forms.rs` executes with a probe on them.
#
# `site` emits the instruction under test. `done NEED, VERDICT` ends the form: NEED is a processor
# feature, VERDICT is 0 for an instruction that must be probed, or why it must not be.

    # Needs.
    .equ ANY, 0
    .equ AVX, 1
    .equ AVX2, 2
    .equ BMI, 3
    .equ AES, 4
    .equ SHA, 5
    .equ AVX512, 6
    .equ GFNI, 7
    .equ FMA, 8
    .equ SSE4, 9
    .equ F16C, 10
    .equ ADX, 11
    .equ FSGSBASE, 12
    .equ PKU, 13
    .equ RDTSCP, 14
    .equ NEVER, 99

    # Verdicts.
    .equ YES, 0
    .equ SYSTEM_CALL, 1
    .equ INTERRUPT, 2
    .equ INVALID, 3
    .equ PRIVILEGED, 4
    .equ LOCKED, 5
    .equ SEGMENT, 6
    .equ REPEATED, 7
    .equ STACK_SEGMENT, 8
    .equ FAR, 9
    .equ TRANSACTION, 10
    .equ FLAGS, 11
    .equ SHADOW, 12
    .equ NARROW, 13
    .equ VECTOR, 14
    .equ EXCHANGE, 15
    .equ UNKNOWN, 16

    .macro begin
    .balign 32
101:
    .endm

    .macro site text:vararg
    .pushsection .rodata.tracer_form_text,"a",@progbits
104: .asciz "\text"
    .popsection
102:
    \text
103:
    .endm

    .macro done need, verdict
    jmp tracer_form_exit
    .pushsection .data.rel.ro.tracer_forms,"aw",@progbits
    .quad 101b, 102b, 103b, 104b
    .long \need, \verdict
    .popsection
    .endm

    .macro form need, verdict, text:vararg
    begin
    site \text
    done \need, \verdict
    .endm

    .macro ok text:vararg
    form ANY, YES, \text
    .endm

    .macro no verdict, text:vararg
    form ANY, \verdict, \text
    .endm

    # The instruction jumps to the label 9, or does not.
    .macro branch text:vararg
    begin
    site \text
    movq $1, tracer_form_mark(%rip)
    jmp tracer_form_exit
9:
    movq $2, tracer_form_mark(%rip)
    done ANY, YES
    .endm

    .macro near text:vararg
    begin
    site \text
    movq $1, tracer_form_mark(%rip)
    jmp tracer_form_exit
    .skip 200, 0xcc
9:
    movq $2, tracer_form_mark(%rip)
    done ANY, YES
    .endm

    # With a few instructions before the one under test.
    .macro after need, verdict, before, text:vararg
    begin
    \before
    site \text
    done \need, \verdict
    .endm

    .pushsection .data.rel.ro.tracer_forms,"aw",@progbits
    .globl tracer_forms
tracer_forms:
    .popsection

    .pushsection .text.tracer_forms,"ax",@progbits

    .balign 64
    .globl tracer_form_run
    .type tracer_form_run, @function
tracer_form_run:
    push %rbx
    push %rbp
    push %r12
    push %r13
    push %r14
    push %r15
    mov %rdi, tracer_form_target(%rip)
    mov %rsp, tracer_form_saved(%rip)
    mov tracer_form_mask(%rip), %eax
    xor %edx, %edx
    test %eax, %eax
    jz 1f
    xrstor64 tracer_form_vectors_in(%rip)
    jmp 2f
1:  fxrstor64 tracer_form_vectors_in(%rip)
2:  pushq tracer_form_in+128(%rip)
    popfq
    mov tracer_form_in+0(%rip), %rax
    mov tracer_form_in+8(%rip), %rcx
    mov tracer_form_in+16(%rip), %rdx
    mov tracer_form_in+24(%rip), %rbx
    mov tracer_form_in+32(%rip), %rsp
    mov tracer_form_in+40(%rip), %rbp
    mov tracer_form_in+48(%rip), %rsi
    mov tracer_form_in+56(%rip), %rdi
    mov tracer_form_in+64(%rip), %r8
    mov tracer_form_in+72(%rip), %r9
    mov tracer_form_in+80(%rip), %r10
    mov tracer_form_in+88(%rip), %r11
    mov tracer_form_in+96(%rip), %r12
    mov tracer_form_in+104(%rip), %r13
    mov tracer_form_in+112(%rip), %r14
    mov tracer_form_in+120(%rip), %r15
    jmp *tracer_form_target(%rip)

    .globl tracer_form_exit
tracer_form_exit:
    mov %rax, tracer_form_out+0(%rip)
    mov %rcx, tracer_form_out+8(%rip)
    mov %rdx, tracer_form_out+16(%rip)
    mov %rbx, tracer_form_out+24(%rip)
    mov %rsp, tracer_form_out+32(%rip)
    mov %rbp, tracer_form_out+40(%rip)
    mov %rsi, tracer_form_out+48(%rip)
    mov %rdi, tracer_form_out+56(%rip)
    mov %r8, tracer_form_out+64(%rip)
    mov %r9, tracer_form_out+72(%rip)
    mov %r10, tracer_form_out+80(%rip)
    mov %r11, tracer_form_out+88(%rip)
    mov %r12, tracer_form_out+96(%rip)
    mov %r13, tracer_form_out+104(%rip)
    mov %r14, tracer_form_out+112(%rip)
    mov %r15, tracer_form_out+120(%rip)
    mov tracer_form_saved(%rip), %rsp
    pushfq
    popq tracer_form_out+128(%rip)
    # A trap flag that leaked would go on to the caller.
    pushq $2
    popfq
    mov tracer_form_mask(%rip), %eax
    xor %edx, %edx
    test %eax, %eax
    jz 1f
    xsave64 tracer_form_vectors_out(%rip)
    xrstor64 tracer_form_vectors_own(%rip)
    jmp 2f
1:  fxsave64 tracer_form_vectors_out(%rip)
    fxrstor64 tracer_form_vectors_own(%rip)
2:  pop %r15
    pop %r14
    pop %r13
    pop %r12
    pop %rbp
    pop %rbx
    ret
    .size tracer_form_run, . - tracer_form_run

    .type tracer_form_callee, @function
tracer_form_callee:
    movq $3, tracer_form_mark(%rip)
    ret
    .type tracer_form_callee16, @function
tracer_form_callee16:
    movq $4, tracer_form_mark(%rip)
    ret $16
tracer_form_landing:
    movq $5, tracer_form_mark(%rip)
    jmp tracer_form_exit

# ---- general registers and memory ----

    .irp op, add, or, adc, sbb, and, sub, xor, cmp
    ok \op\()b %dl, %al
    ok \op\()w $0x1234, %r10w
    ok \op\()l (%rbx), %edx
    ok \op\()q %r8, 8(%rbx,%rcx,4)
    ok \op\()q $-5, tracer_form_data+64(%rip)
    .endr
    ok movb %al, (%rbx)
    ok movb $7, 3(%rdi)
    ok movw %r11w, (%rbx)
    ok movl %eax, %r15d
    ok movq %rax, %rcx
    ok movq %rax, (%rbx)
    ok movq (%rbx), %r13
    ok movq -8(%rbp), %rax
    ok movq 16(%rsp), %rax
    ok movq %rdx, -16(%rsp)
    ok movq $-1, (%rbx,%rcx,8)
    ok movl $0x12345678, tracer_form_data+100(%rip)
    ok movl tracer_form_data+100(%rip), %eax
    ok movq tracer_form_data+104(%rip), %rsi
    ok movq tracer_form_data+104(%rip), %rdi
    ok movq tracer_form_data+104(%rip), %r14
    ok movq %rsi, tracer_form_data+112(%rip)
    ok movq %rdi, tracer_form_data+112(%rip)
    ok movb %sil, tracer_form_data+113(%rip)
    ok movabs $0x1122334455667788, %rax
    ok movabs $0x1122334455667788, %r9
    ok movzbl (%rbx), %eax
    ok movzwl tracer_form_data+8(%rip), %r9d
    ok movsbq %dl, %rax
    ok movslq (%rbx), %rsi
    ok movslq tracer_form_data+8(%rip), %rdi
    ok movbe (%rbx), %rax
    ok lea 5(%rbx,%rcx,2), %rax
    ok lea tracer_form_data+200(%rip), %rax
    ok lea tracer_form_data+200(%rip), %rsi
    ok lea tracer_form_data+200(%rip), %rdi
    ok leal tracer_form_data+200(%rip), %r11d
    ok lea -64(%rsp), %rsp
    ok addr32 lea 5(%ebx), %eax
    ok addr32 lea tracer_form_data(%eip), %rax
    ok movl %fs:0, %eax
    ok movq %fs:(%r11), %rax
    ok movq %gs:(%rbx), %rax
    ok movq %rdx, %gs:8(%rbx)
    ok inc %eax
    ok dec %r8
    ok incw (%rbx)
    ok decq tracer_form_data+72(%rip)
    ok neg %rdx
    ok notl (%rbx)
    ok test %rax, %rdx
    ok testb $3, (%rbx)
    ok testl $0x40, tracer_form_data+72(%rip)
    ok imul %rdx, %rax
    ok imul $100, (%rbx), %ecx
    ok imulq $0x1234567, tracer_form_data+80(%rip), %rsi
    ok mul %r8
    ok mulq (%rbx)
    ok mulq tracer_form_data+80(%rip)
    ok imulq %rcx
    after ANY, YES, "xor %edx, %edx", div %r9
    after ANY, YES, "xor %edx, %edx", divl (%rbx)
    after ANY, YES, "xor %edx, %edx", divq tracer_form_data+88(%rip)
    after ANY, YES, cqo, idiv %r9
    after ANY, YES, cltd, idivl tracer_form_data+88(%rip)
    ok cqo
    ok cltd
    ok cltq
    ok cwtl
    .irp op, shl, shr, sar, rol, ror, rcl, rcr
    ok \op\()l $3, %eax
    ok \op\()q %cl, (%rbx)
    .endr
    ok shlq %cl, tracer_form_data+80(%rip)
    ok shld $5, %rdx, %rax
    ok shrd %cl, %rdx, (%rbx)
    ok bt $3, %rax
    ok bts %rdx, %r8
    ok btr $2, (%rbx)
    ok btc $7, tracer_form_data+80(%rip)
    ok bsf %rax, %rcx
    ok bsr (%rbx), %rax
    ok bswap %rax
    ok popcnt %rax, %rdx
    .irp c, o, no, b, ae, e, ne, be, a, s, ns, p, np, l, ge, le, g
    ok set\c %al
    ok cmov\c %rdx, %rax
    .endr
    ok setne tracer_form_data+81(%rip)
    ok cmovne tracer_form_data+80(%rip), %rsi
    ok xchg %rax, %rcx
    ok xchg %edx, (%rbx)
    ok xchg %rsi, tracer_form_data+80(%rip)
    ok xadd %rax, %rdx
    ok xadd %rax, (%rbx)
    ok cmpxchg %rdx, (%rbx)
    ok cmpxchg %rdx, tracer_form_data+80(%rip)
    ok cmpxchg8b (%rdi)
    ok cmpxchg16b (%rdi)
    ok cmpxchg16b tracer_form_data+96(%rip)
    ok cmc
    ok clc
    ok stc
    ok cld
    ok std
    ok lahf
    ok sahf
    ok xlat
    ok mfence
    ok lfence
    ok sfence
    ok prefetcht0 (%rbx)
    ok clflush (%rbx)
    ok movnti %rax, (%rbx)
    no EXCHANGE, xchg %rax, %r8
    no EXCHANGE, .byte 0x41, 0x90
    no EXCHANGE, .byte 0x66, 0x41, 0x90
    ok xchg %rax, %r9
    ok xchg %eax, %r15d

# ---- the stack ----

    .irp r, rax, rcx, rdx, rbx, rsp, rbp, rsi, rdi, r8, r9, r10, r11, r12, r13, r14, r15
    ok push %\r
    ok pop %\r
    .endr
    ok pushw %ax
    ok popw %dx
    ok push $-5
    ok push $0x12345678
    ok pushq (%rbx)
    ok pushq 8(%rsp)
    ok pushq tracer_form_data+80(%rip)
    ok popq (%rbx)
    ok popq 8(%rsp)
    ok popq tracer_form_data+80(%rip)
    ok .byte 0x48, 0x50
    ok .byte 0xf3, 0x50
    ok enter $32, $0
    ok enter $16, $1
    ok leave
    no FLAGS, pushf
    no FLAGS, pushfw
    after ANY, YES, "pushq $0x8d7", popf
    after ANY, YES, "pushw $0x8d7", popfw
    ok mov %fs, %eax
    ok mov %ds, (%rbx)
    no STACK_SEGMENT, mov %eax, %ss
    no STACK_SEGMENT, mov (%rbx), %ss
    no STACK_SEGMENT, lss (%rbx), %eax

# ---- calls, returns, jumps ----

    ok call tracer_form_callee
    after ANY, YES, "lea tracer_form_callee(%rip), %rax", call *%rax
    after ANY, YES, "lea tracer_form_callee(%rip), %r11", call *%r11
    ok call *tracer_form_pointers(%rip)
    after ANY, YES, "lea tracer_form_pointers(%rip), %rax", call *8(%rax)
    begin
    lea tracer_form_callee(%rip), %rax
    mov %rax, 24(%rsp)
    site call *24(%rsp)
    done ANY, YES
    begin
    lea tracer_form_landing(%rip), %rax
    mov %rax, (%rsp)
    site ret
    done ANY, YES
    begin
    lea tracer_form_landing(%rip), %rax
    mov %rax, (%rsp)
    site ret $24
    done ANY, YES
    begin
    lea tracer_form_landing(%rip), %rax
    mov %rax, (%rsp)
    site .byte 0xf3, 0xc3
    done ANY, YES
    begin
    lea tracer_form_landing(%rip), %rax
    mov %rax, (%rsp)
    site .byte 0xf2, 0xc3
    done ANY, YES
    after ANY, YES, "lea tracer_form_landing(%rip), %rax", jmp *%rax
    after ANY, YES, "lea tracer_form_landing(%rip), %r10", jmp *%r10
    ok jmp *tracer_form_pointers+16(%rip)
    after ANY, YES, "lea tracer_form_pointers(%rip), %r12", jmp *16(%r12)
    branch jmp 9f
    near jmp 9f
    .irp c, o, no, b, ae, e, ne, be, a, s, ns, p, np, l, ge, le, g
    branch j\c 9f
    near j\c 9f
    .endr
    branch jrcxz 9f
    branch jecxz 9f
    branch loop 9f
    branch loope 9f
    branch loopne 9f
    begin
    site .byte 0xf2, 0xe8, 0, 0, 0, 0
    nop
    done ANY, YES
    ok .byte 0xf2, 0xeb, 0
    ok .byte 0xf2, 0x74, 0
    no NARROW, .byte 0x66, 0xeb, 0
    no NARROW, .byte 0x66, 0x74, 0
    no NARROW, .byte 0x66, 0x0f, 0x84, 0, 0, 0, 0
    no NARROW, .byte 0x66, 0x66, 0x48, 0xe8, 0, 0, 0, 0
    begin
    lea tracer_form_callee(%rip), %rax
    site .byte 0x66, 0x48, 0xff, 0xd0
    done ANY, YES
    no NARROW, .byte 0x66, 0xc3
    no NARROW, .byte 0x66, 0xff, 0xd0
    no SEGMENT, .byte 0x3e, 0xff, 0xe0
    no SEGMENT, .byte 0x3e, 0xff, 0xd0
    no SEGMENT, .byte 0x2e, 0x74, 0
    no SEGMENT, .byte 0x3e, 0x0f, 0x84, 0, 0, 0, 0
    no SEGMENT, .byte 0x2e, 0xeb, 0
    no FAR, lret
    no FAR, lret $8
    no FAR, lcall *(%rbx)
    no FAR, ljmp *(%rbx)
    no FAR, .byte 0x48, 0xff, 0x2b
    no FAR, iret
    no FAR, iretq

# ---- nops ----

    ok nop
    ok .byte 0x66, 0x90
    ok .byte 0x0f, 0x1f, 0x00
    ok .byte 0x0f, 0x1f, 0x40, 0
    ok .byte 0x66, 0x0f, 0x1f, 0x44, 0, 0
    ok .byte 0x0f, 0x1f, 0x80, 0, 0, 0, 0
    ok .byte 0x0f, 0x1f, 0x84, 0, 0, 0, 0, 0
    ok .byte 0x66, 0x0f, 0x1f, 0x84, 0, 0, 0, 0, 0
    ok .byte 0x66, 0x66, 0x66, 0x0f, 0x1f, 0x84, 0, 0, 0, 0, 0
    ok .byte 0x66, 0x66, 0x90
    ok .byte 0x0f, 0x1f, 0x05, 0, 0, 0, 0
    ok .byte 0x0f, 0x18, 0x20
    no SEGMENT, .byte 0x66, 0x2e, 0x0f, 0x1f, 0x84, 0, 0, 0, 0, 0
    ok pause
    ok endbr64
    ok fwait

# ---- strings ----

    .irp op, movsb, movsw, movsl, movsq, stosb, stosw, stosl, stosq, lodsb, lodsq, scasb, scasq, cmpsb, cmpsq
    ok \op
    .endr
    .irp op, movsb, movsq, stosb, stosq, lodsb
    no REPEATED, rep \op
    .endr
    no REPEATED, repe cmpsb
    no REPEATED, repne scasb
    no REPEATED, addr32 rep stosb

# ---- what the kernel refuses, or cannot step ----

    .irp op, addl, orl, adcl, sbbl, andl, subl, xorl
    no LOCKED, lock \op $1, (%rbx)
    .endr
    no LOCKED, lock addl $1, tracer_form_data+80(%rip)
    no LOCKED, lock incq (%rbx)
    no LOCKED, lock decl (%rbx)
    no LOCKED, lock xadd %rax, (%rbx)
    no LOCKED, lock cmpxchg %rdx, (%rbx)
    no LOCKED, lock cmpxchg16b (%rdi)
    no LOCKED, lock btsq $3, (%rbx)
    no LOCKED, lock xchg %rax, (%rbx)
    no SYSTEM_CALL, syscall
    no SYSTEM_CALL, sysenter
    no INTERRUPT, int3
    no INTERRUPT, int $0x80
    no INTERRUPT, .byte 0xcd, 0x03
    no INTERRUPT, .byte 0xf1
    no INVALID, ud2
    no INVALID, ud1 (%rax), %eax
    no INVALID, .byte 0x0f, 0xff, 0xc0
    no PRIVILEGED, hlt
    no PRIVILEGED, cli
    no PRIVILEGED, sti
    no PRIVILEGED, in $0x60, %al
    no PRIVILEGED, in %dx, %eax
    no PRIVILEGED, out %al, %dx
    no PRIVILEGED, insb
    no PRIVILEGED, outsl
    no PRIVILEGED, rdmsr
    no PRIVILEGED, wrmsr
    no PRIVILEGED, wbinvd
    no PRIVILEGED, clts
    no PRIVILEGED, mov %cr0, %rax
    no PRIVILEGED, mov %rax, %cr3
    no PRIVILEGED, mov %dr7, %rax
    no PRIVILEGED, lgdt (%rbx)
    no PRIVILEGED, invlpg (%rbx)
    no PRIVILEGED, swapgs
    no PRIVILEGED, sysretq
    no PRIVILEGED, sgdt (%rbx)
    no PRIVILEGED, sidt (%rbx)
    no PRIVILEGED, sldt %eax
    no PRIVILEGED, str %eax
    no PRIVILEGED, smsw %eax
    no PRIVILEGED, vmcall
    no PRIVILEGED, vmmcall
    no TRANSACTION, xbegin 103f
    no TRANSACTION, xend
    no TRANSACTION, xtest
    no TRANSACTION, xabort $1
    no SHADOW, incsspq %rax
    no SHADOW, wrssq %rax, (%rbx)
    no SHADOW, rstorssp (%rbx)
    no SHADOW, saveprevssp
    no SHADOW, setssbsy
    no SHADOW, clrssbsy (%rbx)
    after ANY, YES, "xor %eax, %eax", rdsspq %rax
    no SEGMENT, .byte 0x2e, 0x8b, 0x03
    no SEGMENT, .byte 0x36, 0x8b, 0x03
    no SEGMENT, .byte 0x3e, 0x8b, 0x03
    no SEGMENT, .byte 0x26, 0x8b, 0x03
    no UNKNOWN, .byte 0x06
    no UNKNOWN, .byte 0x60
    no UNKNOWN, .byte 0x82, 0xc0, 1
    no UNKNOWN, .byte 0x48, 0x66, 0x89, 0xc2
    no UNKNOWN, .byte 0x0f, 0x04
    no UNKNOWN, .byte 0x0f, 0x0f, 0xc0, 0x9e
    no UNKNOWN, .byte 0x8f, 0xe9, 0x78, 0x01, 0xc8

# ---- what tells of the processor ----

    begin
    mov $0, %eax
    mov $0, %ecx
    site cpuid
    done ANY, YES
    begin
    site rdtsc
    xor %eax, %eax
    xor %edx, %edx
    done ANY, YES
    begin
    site rdtscp
    xor %eax, %eax
    xor %edx, %edx
    xor %ecx, %ecx
    done RDTSCP, YES
    after AVX, YES, "xor %ecx, %ecx", xgetbv
    begin
    xor %ecx, %ecx
    site rdpkru
    done PKU, YES
    form FSGSBASE, YES, rdfsbase %rax
    after FSGSBASE, YES, "xor %r8d, %r8d", wrgsbase %r8
    after ANY, YES, "xor %eax, %eax", mov %eax, %gs

# ---- x87 ----

    ok fninit
    after ANY, YES, fldpi, fstpl (%rbx)
    ok fldl (%rdi)
    ok fildq tracer_form_data+80(%rip)
    after ANY, YES, fld1, fadd %st(0), %st
    after ANY, YES, fldz, fnstsw %ax
    ok fnstcw (%rbx)
    ok fldcw tracer_form_control(%rip)
    ok stmxcsr (%rbx)
    ok ldmxcsr tracer_form_mxcsr(%rip)
    ok emms

# ---- vectors ----

    ok movss %xmm1, %xmm2
    ok movsd (%rbx), %xmm3
    ok movsd %xmm3, (%rbx)
    ok movaps (%rdi), %xmm4
    ok movaps %xmm4, 16(%rdi)
    ok movups tracer_form_data+81(%rip), %xmm5
    ok movups %xmm5, tracer_form_data+81(%rip)
    ok movdqa %xmm1, %xmm15
    ok movdqu (%rbx), %xmm9
    ok movq %xmm1, %rax
    ok movd %edx, %xmm2
    ok movhps (%rbx), %xmm1
    ok movmskps %xmm1, %eax
    ok movntps %xmm1, (%rdi)
    ok maskmovdqu %xmm1, %xmm2
    ok addps %xmm1, %xmm2
    ok addsd (%rbx), %xmm2
    ok mulss %xmm1, %xmm2
    ok divpd %xmm1, %xmm2
    ok sqrtsd %xmm1, %xmm2
    ok ucomisd %xmm1, %xmm2
    ok comiss (%rbx), %xmm2
    ok cmpltpd %xmm1, %xmm2
    ok cvtsi2sd %rax, %xmm1
    ok cvtsi2sdq tracer_form_data+80(%rip), %xmm1
    ok cvttsd2si %xmm1, %rax
    ok cvtps2pd %xmm1, %xmm2
    ok andps %xmm1, %xmm2
    ok xorps %xmm3, %xmm3
    ok pxor %xmm1, %xmm1
    ok por (%rdi), %xmm1
    ok pcmpeqb %xmm1, %xmm2
    ok pmovmskb %xmm1, %eax
    ok paddd %xmm1, %xmm2
    ok psubsb %xmm1, %xmm2
    ok psubsw %xmm1, %xmm2
    ok pmullw %xmm1, %xmm2
    ok psllq $3, %xmm2
    ok pshufd $0x1b, %xmm1, %xmm2
    ok shufps $0x1b, %xmm1, %xmm2
    ok punpcklbw %xmm1, %xmm2
    ok pinsrw $3, %eax, %xmm1
    ok pextrw $3, %xmm1, %eax
    ok lddqu (%rbx), %xmm1
    ok haddps %xmm1, %xmm2
    ok pshufb %xmm1, %xmm2
    ok palignr $3, %xmm1, %xmm2
    ok paddq %mm1, %mm2
    ok movq %mm1, (%rbx)
    form SSE4, YES, pmovzxbw %xmm1, %xmm2
    form SSE4, YES, ptest %xmm1, %xmm2
    form SSE4, YES, pcmpistri $3, %xmm1, %xmm2
    form SSE4, YES, pcmpestrm $3, tracer_form_data+96(%rip), %xmm2
    form SSE4, YES, roundsd $1, %xmm1, %xmm2
    form SSE4, YES, crc32q %rax, %rdx
    form AES, YES, aesenc %xmm1, %xmm2
    form AES, YES, aeskeygenassist $1, %xmm1, %xmm2
    form AES, YES, pclmulqdq $1, %xmm1, %xmm2
    form SHA, YES, sha256rnds2 %xmm0, %xmm1, %xmm2
    form SHA, YES, sha1msg1 %xmm1, %xmm2
    form GFNI, YES, gf2p8mulb %xmm1, %xmm2

# VEX: the kernel goes by the opcode behind the prefix, as if there were none.
    form AVX, YES, vaddps %ymm1, %ymm2, %ymm3
    form AVX, YES, vaddpd (%rdi), %ymm2, %ymm3
    form AVX, YES, vaddps tracer_form_data+128(%rip), %ymm2, %ymm3
    form AVX, YES, vmulsd %xmm1, %xmm2, %xmm3
    form AVX, YES, vdivps %ymm1, %ymm2, %ymm3
    form AVX, YES, vsqrtps %ymm1, %ymm2
    form AVX, YES, vmovups (%rbx), %ymm1
    form AVX, YES, vmovups %ymm1, (%rbx)
    form AVX, YES, vmovaps tracer_form_data+128(%rip), %ymm9
    form AVX, YES, vmovss (%rbx), %xmm1
    form AVX, YES, vmovmskps %ymm1, %eax
    form AVX, YES, vandps %ymm1, %ymm2, %ymm3
    form AVX, YES, vxorps %xmm0, %xmm0, %xmm0
    form AVX, YES, vcvtps2pd %xmm1, %ymm2
    form AVX, YES, vcvtsi2sd %rax, %xmm1, %xmm2
    form AVX, YES, vshufps $3, %ymm1, %ymm2, %ymm3
    form AVX, YES, vmaxps %ymm1, %ymm2, %ymm3
    form AVX, YES, vbroadcastss (%rbx), %ymm1
    form AVX, YES, vblendvps %ymm1, %ymm2, %ymm3, %ymm4
    form AVX, YES, vextractf128 $1, %ymm1, (%rbx)
    form AVX, YES, vpinsrd $1, %eax, %xmm1, %xmm2
    form AVX, YES, vpshufb %xmm1, %xmm2, %xmm3
    form AVX, YES, vpextrw $1, %xmm1, %eax
    form AVX2, YES, vpermq $0x1b, %ymm1, %ymm2
    form AVX2, YES, vpmovzxbw %xmm1, %ymm2
    form AVX2, YES, vpaddb %ymm1, %ymm2, %ymm3
    form AVX2, YES, vpaddd %ymm1, %ymm2, %ymm3
    form AVX2, YES, vpsubb %ymm1, %ymm2, %ymm3
    form AVX2, YES, vpsrlq %xmm1, %ymm2, %ymm3
    form AVX2, YES, vpmovmskb %ymm1, %eax
    begin
    vpxor %xmm1, %xmm1, %xmm1
    vpcmpeqd %xmm2, %xmm2, %xmm2
    site vpgatherdd %xmm2, (%rbx,%xmm1,4), %xmm3
    done AVX2, VECTOR
    form FMA, YES, vfmadd213ps %ymm1, %ymm2, %ymm3
    form FMA, YES, vfmadd231sd tracer_form_data+96(%rip), %xmm2, %xmm3
    form FMA, VECTOR, vfmsub132ps %ymm1, %ymm2, %ymm3
    form FMA, VECTOR, vfnmadd132sd %xmm1, %xmm2, %xmm3
    form F16C, YES, vcvtph2ps %xmm1, %ymm2
    form AES, YES, vaesenc %xmm1, %xmm2, %xmm3
    form BMI, YES, andn %rax, %rdx, %rcx
    form BMI, YES, andn tracer_form_data+80(%rip), %rsi, %rdi
    form BMI, YES, andn tracer_form_data+80(%rip), %rdi, %rsi
    form BMI, YES, bextr %rax, %rdx, %rcx
    form BMI, YES, blsr %rax, %rdx
    form BMI, YES, bzhi %rax, tracer_form_data+80(%rip), %rcx
    form BMI, YES, pdep %rax, %rdx, %rcx
    form BMI, YES, pext (%rbx), %rdx, %rcx
    form BMI, YES, mulx %rax, %rcx, %r8
    form BMI, YES, mulx tracer_form_data+80(%rip), %rbx, %rcx
    form BMI, YES, mulx tracer_form_data+80(%rip), %rsi, %rdi
    form BMI, YES, rorx $3, %rax, %rcx
    form BMI, YES, shlx %rax, (%rbx), %rcx
    form BMI, YES, lzcnt %rax, %rcx
    form BMI, YES, tzcnt tracer_form_data+80(%rip), %rsi
    form ADX, YES, adcx %rax, %rdx
    form ADX, YES, adox (%rbx), %rdx
    form AVX, VECTOR, vzeroupper
    form AVX, VECTOR, vzeroall
    form AVX, VECTOR, vmovdqu %ymm1, (%rbx)
    form AVX, VECTOR, vmovdqu (%rbx), %ymm1
    form AVX, VECTOR, vmovdqa %ymm1, (%rdi)
    form AVX, VECTOR, vmovq %xmm1, %rax
    form AVX, VECTOR, vmovd %xmm1, (%rbx)
    form AVX, VECTOR, vmovhps (%rbx), %xmm1, %xmm2
    form AVX, VECTOR, vpcmpeqb %xmm1, %xmm2, %xmm3
    form AVX, VECTOR, vpcmpeqd %xmm1, %xmm2, %xmm3
    form AVX, VECTOR, vpshufd $3, %xmm1, %xmm2
    form AVX, VECTOR, vpsllw $3, %xmm1, %xmm2
    form AVX, VECTOR, vpor %xmm1, %xmm2, %xmm3
    form AVX, VECTOR, vpxor %xmm1, %xmm2, %xmm3
    form AVX, VECTOR, vpaddq %xmm1, %xmm2, %xmm3
    form AVX, VECTOR, vpsubd %xmm1, %xmm2, %xmm3
    form AVX, VECTOR, vpsubsb %xmm1, %xmm2, %xmm3
    form AVX, VECTOR, vpsubsw %xmm1, %xmm2, %xmm3
    form AVX, VECTOR, vpminsw %xmm1, %xmm2, %xmm3
    form AVX, VECTOR, vhaddps %xmm1, %xmm2, %xmm3
    form AVX, VECTOR, vcmpltps %ymm1, %ymm2, %ymm3
    form AVX, VECTOR, vcmpltsd %xmm1, %xmm2, %xmm3
    form AVX, YES, vucomiss %xmm1, %xmm2
    form AVX, VECTOR, vcomisd (%rbx), %xmm2
    form AVX, VECTOR, vpunpcklbw %xmm1, %xmm2, %xmm3

# EVEX.
    form AVX512, YES, vaddps %zmm1, %zmm2, %zmm3
    form AVX512, YES, vaddps %zmm17, %zmm18, %zmm19{%k1}
    form AVX512, YES, vaddpd 64(%rdi), %zmm2, %zmm3{%k2}{z}
    form AVX512, YES, vmovups tracer_form_data+192(%rip), %zmm20
    form AVX512, YES, vmovups %zmm20, 128(%rdi)
    form AVX512, YES, vaddpd {rn-sae}, %zmm1, %zmm2, %zmm3
    form AVX512, YES, vpaddd (%rdi){1to16}, %zmm2, %zmm3
    form AVX512, YES, kandw %k1, %k2, %k3
    form AVX512, YES, vpopcntq %zmm1, %zmm2
    form AVX512, VECTOR, vmovdqu64 (%rdi), %zmm1
    form AVX512, VECTOR, vmovdqu64 %zmm1, (%rdi)
    form AVX512, YES, vpternlogd $3, %zmm1, %zmm2, %zmm3
    form AVX512, VECTOR, vpxorq %zmm1, %zmm2, %zmm3
    form AVX512, VECTOR, vporq %zmm1, %zmm2, %zmm3
    form AVX512, VECTOR, vpcmpeqb %zmm1, %zmm2, %k1
    form AVX512, VECTOR, vcmpps $1, %zmm1, %zmm2, %k1
    form AVX512, VECTOR, kmovw %k1, %k2
    form AVX512, VECTOR, kmovq (%rbx), %k1
    form AVX512, VECTOR, vpshufd $3, %zmm1, %zmm2
    form AVX512, VECTOR, vpermt2b %zmm1, %zmm2, %zmm3
    form AVX512, VECTOR, vpermt2d %zmm1, %zmm2, %zmm3
    form AVX512, VECTOR, vpmullw %zmm1, %zmm2, %zmm3

# ---- an instruction on two pages ----

    .balign 4096
    .skip 4091
101:
    site movabs $0x1122334455667788, %rax
    done ANY, YES
    .balign 4096
    .skip 4095
101:
    site call tracer_form_callee
    done ANY, YES
    .balign 4096
    .skip 4093
101:
    site movl $0x12345678, tracer_form_data+100(%rip)
    done ANY, YES

    .popsection

    .pushsection .data.rel.ro.tracer_forms,"aw",@progbits
    .globl tracer_forms_end
tracer_forms_end:
    .balign 8
tracer_form_pointers:
    .quad tracer_form_callee, tracer_form_callee16, tracer_form_landing
tracer_form_mxcsr:
    .long 0x3f80
tracer_form_control:
    .long 0x027f
    .popsection

    .pushsection .bss.tracer_forms,"aw",@nobits
    .balign 4096
    .irp name, data, stack, vectors_in, vectors_out, vectors_own
    .globl tracer_form_\name
tracer_form_\name:
    .skip 4096
    .endr
    .irp name, in, out
    .globl tracer_form_\name
tracer_form_\name:
    .skip 136
    .endr
    .irp name, mask, mark
    .globl tracer_form_\name
tracer_form_\name:
    .skip 8
    .endr
tracer_form_target:
    .skip 8
tracer_form_saved:
    .skip 8
    .popsection
