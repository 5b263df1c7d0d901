"""Rules as `torch.optim.Optimizer`s."""
