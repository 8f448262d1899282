"""Collaborative Tree Optimization's preference stage (MAS², equation 11), and what it is compared with.

plan             what a configuration says
rows             preferences read, checked, weighted
preference_loss  L_CTO, DPO and Score-DPO on plain numbers, without torch: what the trainers are held to
losses           the same in torch, for TRL's trainers
trainers         TRL's trainers for each loss
rewards          GRPO's rewards: what the compiler and the executor say of a reply
stage            role after role, in a folder that can be gone on with (`python -m training.cto CONFIG --out DIR`)
"""
