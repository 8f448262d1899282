"""What all trainers share, whatever their loss.

optimisation   the table [training]: how weights are moved
watching       a line a step, losses that are none, measurements in the loop
checkpoints    states to go on from, sealed when they are whole
"""
