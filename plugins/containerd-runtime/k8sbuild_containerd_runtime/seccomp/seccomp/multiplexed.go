package seccomp

import "maps"

// multiplexed are the syscalls that 32-bit x86 also has, or only has, behind
// another one, whose first argument is their number there.
var multiplexed = map[string]map[string]uint64{
	"socketcall": {
		"socket": 1, "bind": 2, "connect": 3, "listen": 4, "accept": 5, "getsockname": 6, "getpeername": 7,
		"socketpair": 8, "send": 9, "recv": 10, "sendto": 11, "recvfrom": 12, "shutdown": 13, "setsockopt": 14,
		"getsockopt": 15, "sendmsg": 16, "recvmsg": 17, "accept4": 18, "recvmmsg": 19, "sendmmsg": 20,
	},
	"ipc": {
		"semop": 1, "semget": 2, "semctl": 3, "semtimedop": 4, "msgsnd": 11, "msgrcv": 12, "msgget": 13, "msgctl": 14,
		"shmat": 21, "shmdt": 22, "shmget": 23, "shmctl": 24,
	},
}

// withMultiplexed are the rules, and what they mean for the syscalls that
// stand for others. Those have their arguments in memory, which a filter cannot
// see: conditions are left out.
func withMultiplexed(rules map[string][]rule) map[string][]rule {
	found := maps.Clone(rules)
	for name, numbers := range multiplexed {
		for inner, number := range numbers {
			for _, r := range rules[inner] {
				is := ScmpCondition{Argument: 0, Op: CompareEqual, Operand1: number}
				found[name] = with(found[name], rule{r.action, []ScmpCondition{is}})
			}
		}
	}
	return found
}
