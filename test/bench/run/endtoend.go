package main

import "context"

func measureEndToEnd(context.Context, effort, *report) error { return nil }
