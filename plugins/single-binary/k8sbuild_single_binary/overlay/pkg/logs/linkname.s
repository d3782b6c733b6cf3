// This file lets logs.go declare a function that the runtime implements.
