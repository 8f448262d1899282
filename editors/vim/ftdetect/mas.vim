autocmd BufRead,BufNewFile *.mas set filetype=mas
